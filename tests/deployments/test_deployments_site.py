"""The settings of an installation: what they deploy, and what stays as it was changed by hand."""

import asyncio
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect_docker.worker import DockerWorkerJobConfiguration

from deployments.kept import keep_changes
from deployments.pools import pools
from deployments.setup import PREFECT_FILE, ROOT
from deployments.site import HANDED_ON, SITE_FILE, Site, deployments_of, read_site
from recsys_core.errors import ConfigError

SHIPPED = yaml.safe_load(PREFECT_FILE.read_text())["deployments"]
SHOP = {"data": {"source": "/srv/shop", "rating_max": 10}}


def named(site: Site) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in deployments_of(site, SHIPPED)}


def test_as_shipped_nothing_runs_by_itself() -> None:
    found = named(read_site(SITE_FILE))
    assert set(found) == {one["name"] for one in SHIPPED}
    schedules = [one for each in found.values() for one in each.get("schedules") or ()]
    assert len(schedules) == 2
    assert not any(one["active"] for one in schedules)


def test_schedules_start_where_that_is_asked_for() -> None:
    (nightly,) = named(Site(schedules="active"))["personalize"]["schedules"]
    assert nightly["active"]


def test_every_data_set_has_a_night_a_watch_and_a_trigger_of_its_own() -> None:
    shops = {
        "shop": {"config": SHOP},
        "ml": {"config": {"data": {"source": "ml-1m"}}, "nightly": "0 5 * * *", "watch": None},
    }
    found = named(Site.model_validate({"data_sets": shops}))
    assert found["personalize-shop"]["parameters"] == {"config": SHOP}
    assert found["watch-shop"]["parameters"] == {"config": SHOP}
    (trigger,) = found["personalize-shop"]["triggers"]
    assert trigger["match"] == {
        "prefect.resource.id": "recsys.items.*",
        "prefect.resource.name": "/srv/shop",
    }
    assert found["personalize-ml"]["schedules"][0]["cron"] == "0 5 * * *"
    assert found["watch-ml"]["schedules"] == []
    for plain in ("personalize", "watch-metadata"):
        assert found[plain]["schedules"] == found[plain]["triggers"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data_set: {}", "data_set"),
        ("data_sets: {shop: {config: {data: {sorce: x}}}}", "shop.config: data.sorce"),
        ("environment: ['MY KEY']", "environment"),
        ("tell: nobody", "tell"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_site(path)


def server(**changed: Any) -> dict[tuple[str, str], Any]:
    """A server with `personalize`, as somebody changed it."""
    schedule = SimpleNamespace(
        schedule=CronSchedule(cron="0 3 * * *", timezone="UTC"), active=False, slug="nightly",
        parameters={},
    )  # fmt: skip
    there = SimpleNamespace(**{"parameters": {}, "schedules": [schedule], **changed})
    return {("flows.personalize.personalize", "personalize"): there}


def test_what_nobody_changed_is_deployed_without_a_word() -> None:
    wanted = deployments_of(Site(), SHIPPED)
    assert keep_changes(wanted, server()) == []
    assert wanted == deployments_of(Site(), SHIPPED)


def test_changed_parameters_and_schedules_stay() -> None:
    wanted = deployments_of(Site(), SHIPPED)
    often = SimpleNamespace(
        schedule=IntervalSchedule(interval=3600), active=True, slug=None, parameters={}
    )
    there = server(parameters={"config": SHOP}, schedules=[often])
    told = keep_changes(wanted, there)
    assert [line.partition(" stay")[0] for line in told] == [
        "personalize: parameters",
        "personalize: schedules",
    ]
    assert wanted[0]["parameters"] == {"config": SHOP}
    (kept,) = wanted[0]["schedules"]
    assert (kept["interval"], kept["active"]) == (3600.0, True)


def test_containers_get_the_variables_of_their_worker_and_no_value_is_stored(monkeypatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-4711")
    monkeypatch.delenv("TMDB_API_KEY", raising=False)
    for pool in pools(Site(environment=("MY_KEY",), volumes=("/srv:/srv:ro",)))[1:]:
        assert "sk-4711" not in str(pool.template)
        assert "/srv:/srv:ro" in pool.template["variables"]["properties"]["volumes"]["default"]
        # As Prefect's workers do it, with a variable of the run beside.
        given = {"env": {"RUN": "1"}, "image": "recsys:proof"}
        made = DockerWorkerJobConfiguration.from_template_and_values(
            pool.template,
            given,
            client=object(),  # no block is named, so none is asked for
        )
        job = asyncio.run(made)
        assert {*HANDED_ON, "MY_KEY", "RUN"} <= set(job.env)
        assert (job.env["MY_KEY"], job.env["RUN"]) == ("sk-4711", "1")
        assert job.env["TMDB_API_KEY"] == "", "docker/entrypoint.sh unsets it"


def test_the_entrypoint_unsets_what_is_empty_and_names_the_places() -> None:
    shown = subprocess.run(
        ["sh", "docker/entrypoint.sh", "env"], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"], "TMDB_API_KEY": "", "RECSYS_RUNS": "", "KEY": "a=b c"},
    ).stdout.splitlines()  # fmt: skip
    assert "KEY=a=b c" in shown
    assert {"RECSYS_RUNS=/data/runs", "RECSYS_ARTIFACTS=/data/artifacts"} <= set(shown)
    assert not [line for line in shown if line.startswith("TMDB_API_KEY")]


def written_examples() -> list[str]:
    """The settings that site.yaml (in comments) and operations.md show."""
    lines = SITE_FILE.read_text().splitlines()
    start = lines.index("# data_sets:")
    end = next(n for n in range(start, len(lines)) if not lines[n].startswith("#"))
    shown = "\n".join(line.removeprefix("# ") for line in lines[start:end])
    document = (ROOT / "docs" / "operations.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)
    return [shown, *(block for block in blocks if "data_sets" in block)]


def test_the_examples_that_we_show_are_valid(tmp_path: Path) -> None:
    found = written_examples()
    assert len(found) == 2
    for number, text in enumerate(found):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert read_site(path).data_sets["shop"].nightly


def test_aliases_that_multiply_are_one_message(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (tmp_path / "site.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="more than 20,000 values"):
        read_site(tmp_path / "site.yaml")
