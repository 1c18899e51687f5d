"""The page in a real browser: all of it is there, no script runs, nothing overflows a phone."""

import shutil
import subprocess
from pathlib import Path

import pytest

from recsys_core.report.data import ReportData
from recsys_core.report.html import render

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    return found


def _run(chromium: str, page: Path, *wanted: str) -> subprocess.CompletedProcess[bytes]:
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--enable-logging=stderr", "--v=0", f"--user-data-dir={page.parent / 'profile'}", *wanted,
        page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, timeout=120, check=True)


def _page(folder: Path, html: str) -> Path:
    path = folder / "report.html"
    path.write_text(html, "utf-8")
    return path


def test_the_browser_shows_the_rows(run: ReportData, chromium: str, tmp_path: Path) -> None:
    done = _run(chromium, _page(tmp_path, render(run)), "--dump-dom")
    dom = done.stdout.decode()
    assert dom.count('<tr class="ours">') == 3 * 3, "three methods in three protocols"
    assert dom.count('<article class="user">') == len(run.samples)
    assert dom.count("<svg ") == 6
    assert "CONSOLE" not in done.stderr.decode(errors="replace")


def test_an_attack_stays_text(hostile: ReportData, chromium: str, tmp_path: Path) -> None:
    # A dialog would hold the browser up; a console message would tell of a blocked script.
    done = _run(chromium, _page(tmp_path, render(hostile)), "--dump-dom")
    dom = done.stdout.decode()
    assert "<script" not in dom
    assert "<img" not in dom
    assert "&lt;script&gt;alert(1)" in dom
    assert "CONSOLE" not in done.stderr.decode(errors="replace")


@pytest.mark.parametrize("size", ["1280,2400", "500,2400"])
def test_it_draws(run: ReportData, chromium: str, tmp_path: Path, size: str) -> None:
    shot = tmp_path / "shot.png"
    _run(chromium, _page(tmp_path, render(run)), f"--window-size={size}", f"--screenshot={shot}")
    assert shot.stat().st_size > 50_000, "a picture with content, not a blank page"
