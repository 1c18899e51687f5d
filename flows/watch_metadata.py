"""Flow `watch-metadata`: which items changed since the last complete run, and who came since.

The event `recsys.metadata.changed` names the items and carries the configuration. The deployment
`personalize` is triggered by it (deployments/prefect.yaml); since steps and answers are kept by
content, only what depends on the changed items is done again.

The event `recsys.interactions.arrived` names users with new ratings, and new users; the deployment
`recommend` is triggered by it and makes the lists of just these, by the model that serves.
"""

from datetime import timedelta
from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.form import WATCH, Front, unless_filled_in
from flows.pipeline import pipeline
from flows.stages import check_ready, started
from recsys_core.config import RunConfig
from recsys_core.datasets.changes import Changes
from tasks.arrived import arrived
from tasks.metadata_changes import watch
from tasks.runtime.runs.run_name import run_name

Hours = Annotated[float, Field(ge=0, le=24 * 30)]


@flow(name="watch-metadata", flow_run_name=run_name)
def watch_metadata(
    config: Annotated[RunConfig, Front(*WATCH)] = unless_filled_in(RunConfig()),
    repeat_after_hours: Hours = 6.0,
) -> Changes:
    """Compare items with the state that was processed last, and ratings with those seen last.

    Args:
        config: the run whose items are watched, and which a change starts.
        repeat_after_hours: the same changes are announced again only after this many hours, when
            no run has processed them.
    """
    check_ready(config)
    with started() as log:
        made = pipeline(config, log, until="enrich")
    arrived(config, made.data)
    return watch(config, made.data, timedelta(hours=repeat_after_hours))
