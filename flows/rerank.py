"""Flow `rerank`: up to the reranked lists with their reasons."""

from typing import Annotated

from prefect import flow

from flows.form import LISTS, Front, unless_filled_in
from flows.stages import run_until
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks.runtime.runs.run_name import run_name


@flow(name="rerank", flow_run_name=run_name)
def rerank(
    config: Annotated[RunConfig, Front(*LISTS)] = unless_filled_in(RunConfig()),
) -> list[StepSummary]:
    """Rerank and explain, and do whatever has to be there before.

    Args:
        config: every parameter of a run.
    """
    return run_until(config, "explain")
