"""Flow `evaluate`: up to the metrics of lists and reasons on the test split.

`python -m flows.evaluate` is the command that scores a list from anywhere (`flows/score_list.py`).
"""

import sys

if __name__ == "__main__":  # before Prefect is imported: scoring a list needs none of it
    from flows.score_list import main

    sys.exit(main(sys.argv[1:]))

from typing import Annotated

from prefect import flow

from flows.form import LISTS, Front, unless_filled_in
from flows.stages import run_until
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks.runtime.runs.run_name import run_name


@flow(name="evaluate", flow_run_name=run_name)
def evaluate(
    config: Annotated[RunConfig, Front(*LISTS)] = unless_filled_in(RunConfig()),
) -> list[StepSummary]:
    """Measure the lists and their reasons, and do whatever has to be there before.

    Args:
        config: every parameter of a run.
    """
    return run_until(config, "explanation_metrics")
