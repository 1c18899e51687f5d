"""The command `recsys`: the flows' command lines under one name.

recsys personalize --help
"""

import runpy
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from recsys_core import __version__

COMMANDS: Final = {
    "personalize": ("flows.personalize", "run the pipeline: lists with reasons, measured"),
    "recommend": ("flows.recommend", "lists from a finished run, without training"),
    "evaluate": ("flows.evaluate", "score ranked lists from anywhere"),
    "compare": ("flows.compare", "compare two runs"),
    "reproduce-paper": ("flows.reproduce_paper", "the paper's methods and baselines on every fold"),
    "benchmarks": ("flows.benchmarks", "several data sets beside the literature's figures"),
}
"""Name -> the module that is run, and what it does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of `COMMANDS` with the arguments behind it."""
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0] in {"-h", "--help"}:
        print(f"usage: recsys [--version] COMMAND ...\n\n{_commands()}")
        return 0
    if given[0] == "--version":
        print(f"recsys {__version__}")
        return 0
    name, *rest = given
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}."
        print(f"recsys: {name!r} is no command: {hint}", file=sys.stderr)
        return 2
    sys.argv = [f"recsys {name}", *rest]
    # As `python -m` does it, so that what a module starts early is started early here, too.
    runpy.run_module(COMMANDS[name][0], run_name="__main__", alter_sys=True)
    return 0


def _commands() -> str:
    width = max(map(len, COMMANDS))
    return "\n".join(f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items())


if __name__ == "__main__":
    sys.exit(main())
