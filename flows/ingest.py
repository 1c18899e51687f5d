"""Flow `ingest`: the data set and its split."""

from typing import Annotated

from prefect import flow

from flows.form import INGEST, Front, unless_filled_in
from flows.stages import run_until
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks.runtime.runs.run_name import run_name


@flow(name="ingest", flow_run_name=run_name)
def ingest(
    config: Annotated[RunConfig, Front(*INGEST)] = unless_filled_in(RunConfig()),
) -> list[StepSummary]:
    """Fetch, check and split the data set.

    Args:
        config: every parameter of a run; `data`, `tmdb` and `split` matter here.
    """
    return run_until(config, "split")
