"""Compare two runs: `python -m flows.compare RUN RUN`.

Prints what differs and writes it as a page, `compare-RUN.html`, into the folder of the second run,
whose report it belongs to. Plain library calls without Prefect.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.command_line.command import run
from recsys_core.errors import DataError
from recsys_core.report.comparison_page import render
from recsys_core.report.run_comparison import as_text, compare_runs, read_run


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.compare", description="Compare two runs of the same data and split."
    )
    what = "name of the run under --runs-root, or its folder"
    parser.add_argument("before", metavar="RUN", help=f"{what}: the one to compare with")
    parser.add_argument("after", metavar="RUN", help=what)
    default = os.environ.get("RECSYS_RUNS") or "runs"
    parser.add_argument("--runs-root", default=default, help="folder of the runs (%(default)s)")
    parser.add_argument("--k", type=int, default=10, help="length of compared lists (%(default)s)")
    options = parser.parse_args(argv)
    return run(lambda: _compare(options))


def _compare(options: argparse.Namespace) -> None:
    folders = [_folder(options.runs_root, name) for name in (options.before, options.after)]
    found = compare_runs(*(read_run(folder) for folder in folders), k=options.k)
    page = folders[1] / f"compare-{found.before.run_name}.html"
    page.write_text(render(found), "utf-8")
    print(as_text(found))
    print(f"\nPage: {page}")


def _folder(root: str, name: str) -> Path:
    for path in (Path(root).expanduser() / name, Path(name).expanduser()):
        if path.is_dir():
            return path.resolve()
    there = sorted(one.name for one in Path(root).glob("*/") if (one / "summary.json").is_file())
    raise DataError(
        f"There is no run {name!r}.",
        expected=f"a folder, or one of the runs in {root}: {', '.join(there) or 'none yet'}.",
    )


if __name__ == "__main__":
    sys.exit(main())
