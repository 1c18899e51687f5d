"""Flow `train`: up to the graph model and every user's candidates."""

from typing import Annotated

from prefect import flow

from flows.form import TRAIN, Front, unless_filled_in
from flows.stages import run_until
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks.runtime.runs.run_name import run_name


@flow(name="train", flow_run_name=run_name)
def train(
    config: Annotated[RunConfig, Front(*TRAIN)] = unless_filled_in(RunConfig()),
) -> list[StepSummary]:
    """Train the graph model, and do whatever has to be there before.

    On a GPU worker this fills the artifact that a run of `personalize` elsewhere then finds:
    the same configuration on the same artifact root.

    Args:
        config: every parameter of a run; those up to `graph` matter here. `graph.device: cuda`
            is refused at once where there is no GPU.
    """
    return run_until(config, "candidates")
