"""Prefect's UI in a real browser: the form explains itself, a run shows what it made."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from recsys_core.columns import EXPLANATION, RANK, SCORE, TITLE, USER
from tasks.runtime.server.prefect_artifacts import lists, table
from tests.local_server import LocalServer

pytestmark = [pytest.mark.server, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="module")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    return found


def look(chromium: str, page: str, folder: Path, name: str, shows: str, height: int = 1500) -> str:
    """The page once its scripts show a text; a picture of it is left in `folder`.

    The browser's clock stands still while it waits for the network, but not for a part of the page
    that is loaded when it is needed: on a busy machine that may come after the page's time is up.
    """
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", f"--window-size=1400,{height}",
    ]  # fmt: skip
    shot = folder / f"{name}.png"
    for seconds in (20, 60, 180):
        timed = [*command, f"--virtual-time-budget={1000 * seconds}"]
        dom = _run([*timed, "--dump-dom", page]).decode()
        if shows in dom:
            break
    assert shows in dom
    _run([*timed, f"--screenshot={shot}", page])
    assert shot.stat().st_size > 20_000, "a picture with content"
    return dom


def _run(command: list[str]) -> bytes:
    return subprocess.run(command, capture_output=True, timeout=120, check=True).stdout


@pytest.mark.parametrize("ui", ["", "/v2"])
def test_the_form(deployed: LocalServer, chromium: str, tmp_path: Path, ui: str) -> None:
    deployment = deployed.deployment("personalize/personalize")["id"]
    page = f"{deployed.ui}{ui}/deployments/deployment/{deployment}/run"
    dom = look(chromium, page, tmp_path, "form", "Submit", 2300)
    for text in ("Hard ceiling in dollars.", "Seed of every random choice.", "Every other"):
        assert text in dom, "every field has its help"
    assert "Property is type" not in dom
    assert "GAT layers." not in dom, "a form that a person can fill in"


def test_a_run_and_its_artifacts(deployed, first: str, chromium: str, tmp_path: Path) -> None:
    look(chromium, f"{deployed.ui}/runs/flow-run/{first}", tmp_path, "run", "Completed")
    chosen = {"artifacts": {"flow_run_id": {"any_": [first]}}}
    found = {one["key"]: one["id"] for one in deployed.post("/artifacts/filter", chosen)}
    shown = {
        "run": "cached", "headline-metrics": "popularity", "recommendations": "Story No.",
        "cost": "rules", "plot-ndcg": "data:image/svg+xml;base64,", "report": "report.html",
    }  # fmt: skip
    for key, text in shown.items():
        page = f"{deployed.ui}/artifacts/artifact/{found[key]}"
        look(chromium, page, tmp_path, key, text)


HOSTILE = (
    "http://evil.example/x", "www.evil.example", "me@evil.example", "<img src=//evil.example>",
    "[a](//evil.example)", "![a](//evil.example)", "# head", "- item", "**bold**",
    "<script>x</script>",
)  # fmt: skip


@pytest.mark.parametrize("ui", ["", "/v2"])
def test_what_models_and_data_say_is_text_in_both_uis(
    deployed: LocalServer, chromium: str, tmp_path: Path, ui: str
) -> None:
    """By the renderers themselves: one of them makes links of addresses that are escaped."""
    rows = [{USER: one, RANK: 1, TITLE: one, EXPLANATION: one, SCORE: 1.0} for one in HOSTILE]
    shown = {"markdown": lists(rows), "table": json.dumps(table([{"a": one} for one in HOSTILE]))}
    for kind, data in shown.items():
        made = deployed.post("/artifacts/", {"key": f"said-{kind}", "type": kind, "data": data})
        page = f"{deployed.ui}{ui}/artifacts/artifact/{made['id']}"
        dom = look(chromium, page, tmp_path, kind, "evil")  # in V2's tables with what escapes them
        for tag in ('href="http://evil', 'href="//evil', 'href="http://www.evil', 'src="//evil',
                    'href="mailto:', "<strong>bold", "<script>x", ">head</h1>"):  # fmt: skip
            assert tag not in dom, tag
