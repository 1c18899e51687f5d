"""Emit a Prefect event for changed items, and record the items of a complete run as processed."""

import logging
from datetime import timedelta
from typing import Any, Final

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from recsys_core.config import RunConfig
from recsys_core.datasets.changes import Changes, SourceState, compare, item_state
from tasks.runtime.references import DatasetRef

CHANGED: Final = "recsys.metadata.changed"
MAX_IDS: Final = 1000
"""Ids of each kind that an event names; it always has the counts. The server bounds its size."""

logger = logging.getLogger(__name__)


@task(name="watch", tags={"recsys", "watch"}, cache_policy=NO_CACHE, persist_result=False)
def watch(config: RunConfig, data: DatasetRef, repeat_after: timedelta) -> Changes:
    """Compare the items with those processed last; announce what changed.

    The first look at a source records its items and announces nothing: nobody asked for a run yet.

    Args:
        config: the run that an event shall start.
        data: the ingested data set.
        repeat_after: the same changes are announced again only after this time, when they are
            still not processed.
    """
    state, source = SourceState(config.artifact_root, config.data), config.data.source
    now, before, said = item_state(data.table("items")), state.processed(), state.announced()
    changes = compare(now if before is None else before, now)
    if before is None:
        logger.info("First look at %s: recorded its %d items, announced none", source, now.height)
        state.set_processed(now)
    elif not len(changes):
        logger.info("No item of %s changed", source)
    elif said is not None and said.covers(changes, repeat_after):
        logger.info("%d items of %s changed, announced at %s", len(changes), source, said.at)
    else:
        announce(config, changes)
        state.set_announced(changes)
    return changes


def announce(config: RunConfig, changes: Changes) -> None:
    """Emit the event that names the changed items and the run they ask for."""
    logger.info("%d items of %s changed: announced", len(changes), config.data.source)
    emit_event(
        event=CHANGED,
        resource={
            "prefect.resource.id": f"recsys.items.{changes.fingerprint[:16]}",
            "prefect.resource.name": config.data.source,
        },
        payload=payload(config, changes),
    )


def payload(config: RunConfig, changes: Changes) -> dict[str, Any]:
    """What the event tells: the ids (the first thousand of each kind), counts, configuration."""
    kinds = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
    return {
        **{name: ids[:MAX_IDS] for name, ids in kinds.items()},
        "counts": {name: len(ids) for name, ids in kinds.items()},
        "fingerprint": changes.fingerprint,
        "config": asked_for(config),
    }


def asked_for(config: RunConfig) -> dict[str, Any]:
    """What the triggered run needs to be told: what was set, and where this one's state lies."""
    told = config.model_dump(mode="json", exclude_unset=True)
    return told | {"artifact_root": config.artifact_root, "runs_root": config.runs_root}


@task(name="processed", tags={"recsys"}, cache_policy=NO_CACHE, persist_result=False)
def processed(config: RunConfig, data: DatasetRef) -> None:
    """Remember the items of a complete run, so that they are not announced again."""
    state = SourceState(config.artifact_root, config.data)
    state.set_processed(item_state(data.table("items")))
