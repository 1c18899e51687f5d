"""Reproduce the paper: its methods and strong baselines on every fold, in one page.

    python -m flows.reproduce_paper --help

Every (fold, method) is an artifact: a run that was stopped goes on where it was.
"""

import sys

from recsys_core.config import ReproduceConfig

PROGRAM = "python -m flows.reproduce_paper"
ABOUT = "The paper's methods and baselines on every fold."

if __name__ == "__main__":  # before Prefect is imported: help and typos need none of it
    from flows.command_line import command

    command.parse_or_exit(sys.argv[1:], program=PROGRAM, description=ABOUT, kind=ReproduceConfig)

from collections.abc import Sequence
from typing import Annotated

from prefect import flow
from prefect.task_runners import ProcessPoolTaskRunner
from rich.console import Console

from flows.command_line import command
from flows.form import REPRODUCE, Front, unless_filled_in
from flows.reproduction.cold_start import measure_cold
from flows.reproduction.folds import authors, choices, measure, prepare_folds, rank
from flows.stages import check_ready, started
from recsys_core.artifacts import ArtifactStore
from recsys_core.report.reproduction_page import Reproduction, as_text
from tasks.reproduction.report import report


@flow(name="reproduce-paper", description=ABOUT)
def reproduce_paper(
    config: Annotated[ReproduceConfig, Front(*REPRODUCE)] = unless_filled_in(ReproduceConfig()),
) -> Reproduction:
    """Compare all methods on all folds.

    Args:
        config: every parameter; see `--help`.
    """
    store = ArtifactStore(root=config.artifact_root)
    check_ready(config.run(config.data, config.folds[0]))
    with started() as log:
        folds = prepare_folds(store, config, log)
        results = measure(store, folds, rank(store, config, log, folds))
        cold = measure_cold(store, config, folds[0])
        return report(config, results, cold, authors(folds), choices(folds), log)


def run(config: ReproduceConfig) -> Reproduction:
    """The flow, with as many processes as `at_once` asks for.

    Processes, since the trainings of one process would share torch's random state.
    """
    if config.at_once == 1:
        return reproduce_paper(config)
    pool = ProcessPoolTaskRunner(max_workers=config.at_once)
    return reproduce_paper.with_options(task_runner=pool)(config)  # type: ignore[arg-type]  # invariant


def main(argv: Sequence[str]) -> int:
    """The command line."""

    def action() -> None:
        config = command.parse(argv, program=PROGRAM, description=ABOUT, kind=ReproduceConfig)
        with command.with_server():
            done = run(config)
        Console(soft_wrap=True).print(as_text(done), markup=False, highlight=False)

    return command.run(action)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
