"""Flow `profile`: up to the profiles of items and users."""

from typing import Annotated

from prefect import flow

from flows.form import PROFILES, Front, unless_filled_in
from flows.stages import run_until
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks.runtime.runs.run_name import run_name


@flow(name="profile", flow_run_name=run_name)
def profile(
    config: Annotated[RunConfig, Front(*PROFILES)] = unless_filled_in(RunConfig()),
) -> list[StepSummary]:
    """Write item and user profiles, and whatever has to be there before them.

    Args:
        config: every parameter of a run; `data`, `split`, `llm`, `item_profiles` and
            `user_profiles` matter here.
    """
    return run_until(config, "user_profiles")
