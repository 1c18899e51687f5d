"""The folder of a run of `recommend`: lists in the shape of a full run's, and a summary."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from pydantic import BaseModel, ConfigDict

from recsys_core.columns import STATUS, UNKNOWN, USER
from recsys_core.report.folder import publish
from recsys_core.report.summary import LLMSummary, StepSummary, llm_summary
from recsys_core.serving.drift import Drift
from recsys_core.serving.request import RecommendConfig
from tasks.arrivals import NOTES
from tasks.report import made_calls, told_calls
from tasks.runtime.messages import tell
from tasks.runtime.references import (
    ArrivalsRef,
    PlacedRef,
    RecommendationsRef,
    ServedModelRef,
)
from tasks.runtime.runs.run_folder import CALLS_FILE, RECOMMENDATIONS_FILE, SUMMARY_FILE, USERS_FILE
from tasks.runtime.runs.run_log import RunLog, current_run_id

OUTDATED: Final = "recsys.model.outdated"
"""Event: so many ratings came since the training that a new one is due."""


class Recommended(BaseModel):
    """What happened in a run of `recommend`."""

    model_config = ConfigDict(frozen=True)

    run_name: str
    flow_run_id: str
    created: datetime
    seconds: float
    folder: str
    data_source: str
    """The served model, since no data set was read."""
    model: str
    users: int
    statuses: dict[str, int]
    notes: list[str]
    drift: Drift
    """What came since the model was trained, and whether to retrain."""
    steps: list[StepSummary]
    llm: LLMSummary
    config: dict[str, Any]


@task(name="recommended", tags={"recsys", "report"}, cache_policy=NO_CACHE, persist_result=False)
def recommended(
    config: RecommendConfig,
    log: RunLog,
    *,
    served: ServedModelRef,
    came: ArrivalsRef,
    found: PlacedRef,
    recommendations: RecommendationsRef,
) -> Recommended:
    """Write the folder; `latest` stays with the last run that trained.

    Args:
        config: what was asked for.
        log: the steps of this run.
        served: the model.
        came: the users.
        found: how they were placed.
        recommendations: their lists with reasons.
    """
    drift = _drift(config, served, came)
    visitors = came.table("visitors").select(USER, STATUS, UNKNOWN)
    calls = made_calls(config.llm, config.artifact_root, log)
    counts = visitors[STATUS].value_counts()
    name = config.run_name or f"{log.started:%Y%m%dT%H%M%S%f}-lists"
    summary = Recommended(
        run_name=name,
        flow_run_id=current_run_id(),
        created=log.started,
        seconds=(datetime.now(UTC) - log.started).total_seconds(),
        folder=str(Path(config.runs_root).expanduser().resolve() / name),
        data_source=f"served model {served.uri}",
        model=served.uri,
        users=visitors.height,
        statuses=dict(counts.sort(STATUS).iter_rows()),
        notes=[*found.manifest.facts[NOTES], drift.sentence()],
        drift=drift,
        steps=log.summaries(),
        llm=llm_summary(calls, config.llm.model),
        config=config.model_dump(mode="json"),
    )
    files = {
        RECOMMENDATIONS_FILE: _parquet(recommendations.table("recommendations")),
        USERS_FILE: _parquet(visitors),
        CALLS_FILE: _parquet(calls),
        SUMMARY_FILE: summary.model_dump_json(indent=1).encode(),
    }
    publish(config.runs_root, name, files, latest=False)
    told_calls(config.llm, config.artifact_root)
    tell(f"Lists of {summary.users:,} users are in {summary.folder}. {' '.join(summary.notes)}")
    return summary


def _drift(config: RecommendConfig, served: ServedModelRef, came: ArrivalsRef) -> Drift:
    """What came since the training; the event where that is much."""
    ratings = int(served.facts["ratings"])
    here = int(came.manifest.facts["new_ratings"])
    since = here if config.ratings_now is None else max(config.ratings_now - ratings, here)
    drift = Drift.of(served.manifest.created, ratings, since, config.retrain_after)
    if drift.retrain:
        emit_event(
            event=OUTDATED,
            resource={
                "prefect.resource.id": f"recsys.model.{served.content_hash[:16]}",
                "prefect.resource.name": served.uri,
            },
            payload=drift.model_dump(mode="json"),
        )  # fmt: skip
    return drift


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
