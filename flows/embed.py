"""Flow `embed`: up to the vectors of the profiles."""

from typing import Annotated

from prefect import flow

from flows.form import PROFILES, Front, unless_filled_in
from flows.stages import run_until
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks.runtime.runs.run_name import run_name


@flow(name="embed", flow_run_name=run_name)
def embed(
    config: Annotated[RunConfig, Front(*PROFILES)] = unless_filled_in(RunConfig()),
) -> list[StepSummary]:
    """Embed the profiles, and do whatever has to be there before.

    Args:
        config: every parameter of a run; those up to `embedding` matter here.
    """
    return run_until(config, "embed")
