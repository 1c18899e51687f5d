"""The page in a real browser: all of it is there, the search works, nothing overflows a phone."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from recsys_core.report.data import ReportData
from recsys_core.report.html import render
from recsys_core.report.sections.user_lists import user_lists
from tests.recsys_core.report.conftest import attributions, catalogue, recommendations

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    return found


def _run(
    chromium: str, page: Path, *wanted: str, to: str = ""
) -> subprocess.CompletedProcess[bytes]:
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--hide-scrollbars", "--enable-logging=stderr", "--v=0",
        f"--user-data-dir={page.parent / 'profile'}", *wanted,
        page.as_uri() + to,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, timeout=120, check=True)


def _found(chromium: str, page: Path, user: str) -> str:
    """The part of the page that `report.html#user=...` fills."""
    done = _run(chromium, page, "--virtual-time-budget=4000", "--dump-dom", to=f"#user={user}")
    assert "CONSOLE" not in done.stderr.decode(errors="replace")
    dom = done.stdout.decode()
    start = dom.index('<div id="found"')
    return dom[start : start + 1000]


def _page(folder: Path, html: str) -> Path:
    path = folder / "report.html"
    path.write_text(html, "utf-8")
    return path


def test_the_browser_shows_the_rows(run: ReportData, chromium: str, tmp_path: Path) -> None:
    done = _run(chromium, _page(tmp_path, render(run)), "--dump-dom")
    dom = done.stdout.decode()
    ours = 3 * 3 + 2 + 3
    assert dom.count('<tr class="ours">') == ours, "results, tests, beyond accuracy"
    assert dom.count('<article class="user">') == len(run.samples)
    assert dom.count("<svg ") == 6
    assert "CONSOLE" not in done.stderr.decode(errors="replace")


def test_an_attack_stays_text(hostile: ReportData, chromium: str, tmp_path: Path) -> None:
    # A dialog would hold the browser up; a console message would tell of a blocked script.
    done = _run(chromium, _page(tmp_path, render(hostile)), "--dump-dom")
    dom = done.stdout.decode()
    assert dom.count("<script") == 2, "the lists and the search"
    assert "<img" not in dom
    assert "&lt;script&gt;alert(1)" in dom
    assert "CONSOLE" not in done.stderr.decode(errors="replace")


@pytest.mark.parametrize("size", ["1280,2400", "500,2400"])
def test_it_draws(run: ReportData, chromium: str, tmp_path: Path, size: str) -> None:
    shot = tmp_path / "shot.png"
    _run(chromium, _page(tmp_path, render(run)), f"--window-size={size}", f"--screenshot={shot}")
    assert shot.stat().st_size > 50_000, "a picture with content, not a blank page"


@pytest.mark.parametrize("page_users", [100, 1])
def test_the_search_finds_any_user_in_the_page_or_in_files_beside_it(
    run: ReportData, chromium: str, tmp_path: Path, page_users: int
) -> None:
    users = ["31", "405", "año nuevo"]
    every = user_lists(
        recommendations(users), catalogue(), attributions(users), page_users=page_users
    )
    assert bool(every.files) == (page_users == 1)
    page = _page(tmp_path, render(replace(run, lists=every)))
    for name, content in every.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for user in users:
        shown = _found(chromium, page, user)
        assert f"<h3>User {user}</h3>" in shown
        assert "liked: Contact" in shown
        assert "70 % liked titles, 30 % popularity. Without" in shown
        assert "it would stand at place 1,234." in shown
        assert 'style="width: 70%;"' in shown
    assert 'No user "nobody" has a list' in _found(chromium, page, "nobody")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_pans_sideways(run: ReportData, chromium: str, tmp_path: Path, width: int) -> None:
    """In a frame, since a window has a least width; the copy may run one more script."""
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", render(run))
    html = html.replace("<details>", "<details open>")
    tell = """<script>
      const wide = [...document.querySelectorAll(".scroll, nav ul, main, body")]
        .filter((one) => one.scrollWidth > one.clientWidth + 1)
        .map((one) => one.className || one.tagName);
      parent.postMessage([document.documentElement.scrollWidth, ...wide].join(" "), "*");
    </script></body>"""
    (tmp_path / "inner.html").write_text(html.replace("</body>", tell), "utf-8")
    outer = f"""<script>
        addEventListener("message", (m) => document.title = "wide " + m.data)
      </script><iframe src="inner.html" style="width:{width}px;height:900px;border:0"></iframe>"""
    done = _run(
        chromium, _page(tmp_path, outer), "--virtual-time-budget=3000", "--dump-dom"
    ).stdout.decode()
    assert re.search(r"<title>(.*?)</title>", done)[1] == f"wide {width}"
