"""Emit a Prefect event for new ratings and new users; the trigger of `recommend` does the rest."""

import logging
from typing import Final

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from recsys_core.columns import USER
from recsys_core.config import RunConfig
from recsys_core.datasets.changes import Arrivals, SourceState, arrivals_between, user_state
from recsys_core.datasets.split_parts import interaction_columns
from recsys_core.serving.request import RecommendConfig
from tasks.metadata_changes import MAX_IDS
from tasks.runtime.references import DatasetRef

ARRIVED: Final = "recsys.interactions.arrived"

logger = logging.getLogger(__name__)


@task(name="arrived", tags={"recsys", "watch"}, cache_policy=NO_CACHE, persist_result=False)
def arrived(config: RunConfig, data: DatasetRef) -> Arrivals:
    """Compare the users' ratings with those seen last; announce who came.

    The first look at a source records its users and announces nobody. What was announced counts as
    seen: nobody is announced twice for the same ratings.

    Args:
        config: of the run whose data are watched.
        data: the ingested data set.
    """
    state, rows = SourceState(config.artifact_root, config.data), data.table("interactions")
    now, before = user_state(rows), state.seen_users()
    came = arrivals_between(now if before is None else before, now)
    if before is None:
        logger.info("First look: recorded %d users, announced none", now.height)
    elif not len(came):
        logger.info("No new rating")
    else:
        ids = pl.Series(USER, [*came.new, *came.returned], dtype=rows.schema[USER])
        own = rows.join(ids.to_frame(), on=USER, how="semi").select(interaction_columns(rows))
        announce(config, came, state.keep_arrived(own, came.fingerprint), rows.height)
    state.set_seen_users(now)
    return came


def announce(config: RunConfig, came: Arrivals, place: str, now: int) -> None:
    """Emit the event that names the users and asks for their lists."""
    asked = RecommendConfig(
        interactions=place,
        ratings_now=now,
        artifact_root=config.artifact_root,
        runs_root=config.runs_root,
    )
    logger.info("%d users and %d ratings arrived: announced", len(came), came.ratings)
    emit_event(
        event=ARRIVED,
        resource={
            "prefect.resource.id": f"recsys.interactions.{came.fingerprint[:16]}",
            "prefect.resource.name": config.data.source,
        },
        payload={
            "new": came.new[:MAX_IDS],
            "returned": came.returned[:MAX_IDS],
            "counts": {
                "new": len(came.new), "returned": len(came.returned), "ratings": came.ratings,
            },
            "fingerprint": came.fingerprint,
            "config": asked.model_dump(mode="json", exclude_unset=True),
        },
    )  # fmt: skip
