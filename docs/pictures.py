"""Make the pictures of the README from the report of a finished run.

    python docs/pictures.py runs/latest/report.html 405

Needs a headless Chromium. The page is opened at one user's list, once in light and once in dark.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZE = "860,640"
HERE = Path(__file__).parent
ALONE = """<style>
  .top, nav, footer, main > section:not(#users), #users > :not(#found) { display: none; }
  #users { padding: 0; }  #found .user { margin: 1rem 0; }
</style></head>"""
"""Leaves nothing of the page but the list that was asked for."""


def main(report: Path, user: str) -> int:
    """Write docs/report-light.png and docs/report-dark.png."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None or not report.is_file():
        sys.stderr.write(f"Needed: one of {', '.join(NAMES)}, and {report}.\n")
        return 2
    for scheme, code in (("light", "1"), ("dark", "0")):
        picture = HERE / f"report-{scheme}.png"
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.html"
            page.write_text(report.read_text("utf-8").replace("</head>", ALONE, 1), "utf-8")
            command = [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--hide-scrollbars", f"--window-size={SIZE}",
                f"--blink-settings=preferredColorScheme={code}",
                f"--user-data-dir={folder}/profile", f"--screenshot={picture}",
                f"{page.as_uri()}#user={user}",
            ]  # fmt: skip
            subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]) if len(sys.argv) == 3 else 2)
