"""Flow `personalize`: the whole pipeline (`flows/pipeline.py`), and its command line.

    python -m flows.personalize --help

Nothing asks for a server: without PREFECT_API_URL the flow runs in this process.
"""

import sys

PROGRAM = "python -m flows.personalize"
ABOUT = "Profiles, graph model, reranking, reasons, evaluation."

if __name__ == "__main__":  # a typo is told at once; then a server gets ready during the imports
    from flows.command_line import command

    command.parse_or_exit(sys.argv[1:], program=PROGRAM, description=ABOUT, server=True)

from collections.abc import Sequence
from typing import Annotated

from prefect import flow

from flows.command_line import command, console
from flows.form import RUN, Front, unless_filled_in
from flows.pipeline import pipeline
from flows.stages import check_ready, started
from recsys_core.config import RunConfig
from recsys_core.report.summary import Summary
from tasks.runtime.runs.run_name import run_name


@flow(name="personalize", description=ABOUT, flow_run_name=run_name)
def personalize(
    config: Annotated[RunConfig, Front(*RUN)] = unless_filled_in(RunConfig()),
) -> Summary | None:
    """Run the pipeline once; a dry run ends after its estimate, and returns nothing.

    Args:
        config: every parameter of the run; see `--help`.
    """
    check_ready(config)
    with started() as log:
        made = pipeline(config, log)
        return None if config.dry_run else made.summary


def main(argv: Sequence[str]) -> int:
    """The command line."""

    def action() -> None:
        config = command.parse(argv, program=PROGRAM, description=ABOUT)
        with command.with_server():
            summary = personalize(config)
        if summary is not None:
            console.show(summary)

    return command.run(action)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
