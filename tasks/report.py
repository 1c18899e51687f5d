"""Report: the run's folder with lists, metrics, ledger, summary and the page to read."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from recsys_core.artifacts import ArtifactRef
from recsys_core.columns import LLM_CALLS, METRICS
from recsys_core.config import RunConfig
from recsys_core.report.data import ReportData
from recsys_core.report.folder import publish
from recsys_core.report.html import render
from recsys_core.report.samples import samples
from recsys_core.report.summary import StepSummary, Summary, headline, llm_summary
from recsys_core.rerank.costs import strategy_costs
from tasks.evaluate import own_methods
from tasks.runtime.llm import LEDGER
from tasks.runtime.step import RunLog, current_run_id

RECOMMENDATIONS_FILE: Final = "recommendations.parquet"
METRICS_FILE: Final = "metrics.parquet"
CALLS_FILE: Final = "llm_calls.parquet"
REPORT_FILE: Final = "report.html"
SUMMARY_FILE: Final = "summary.json"
RERANK: Final = "rerank"
"""Name in the log of the step that judges everybody's candidates."""


@dataclass(frozen=True, kw_only=True)
class Lists:
    """What leads from one split to lists with reasons."""

    split: ArtifactRef
    items: ArtifactRef
    users: ArtifactRef
    vectors: ArtifactRef
    model: ArtifactRef
    policy: ArtifactRef
    candidates: ArtifactRef
    reranked: ArtifactRef
    recommendations: ArtifactRef


@task(name="report", tags={"recsys", "report"}, cache_policy=NO_CACHE, persist_result=False)
def report(
    config: RunConfig,
    log: RunLog,
    data: ArtifactRef,
    served: Lists,
    metrics: ArtifactRef,
    reasons: Sequence[ArtifactRef],
    drawn: ArtifactRef,
    started: datetime,
) -> Summary:
    """Write `runs/<run name>/` and let `runs/latest` lead to it.

    Not cached: it tells of this run, and takes a moment.

    Args:
        config: the run's parameters.
        log: the steps of this run.
        data: the ingested data set.
        served: the lists to hand out, and what they were made from.
        metrics: the evaluation.
        reasons: what the reasons are worth; a table `metrics` each.
        drawn: the evaluation's plots.
        started: when the run started, UTC.
    """
    measured = metrics.table("metrics")
    told = [one.table("metrics") for one in reasons]
    explained = pl.concat([pl.DataFrame(schema=dict(METRICS)), *told])
    calls = made_calls(log)
    run_name = config.run_name or default_name(data, started)
    summary = Summary(
        run_name=run_name,
        flow_run_id=current_run_id(),
        created=started,
        seconds=(datetime.now(UTC) - started).total_seconds(),
        folder=str(Path(config.runs_root).expanduser().resolve() / run_name),
        data_source=data.manifest.facts["source"],
        models=_models(config, served),
        steps=tell(log),
        llm=llm_summary(calls, config.llm.model),
        headline=headline(measured),
        facts={one.step: one.ref.manifest.facts for one in log.steps if one.ref.manifest.facts},
        config=config.model_dump(mode="json"),
    )
    lists = served.recommendations.table("recommendations")
    page = ReportData(
        summary=summary,
        metrics=measured,
        curves=served.model.table("curves"),
        figures=drawn.table("figures"),
        calls=calls,
        costs=strategy_costs(judging_calls(log)),
        policies=served.policy.table("policies"),
        reasons=explained,
        samples=samples(
            lists,
            served.users.table("user_profiles"),
            served.split.table("train"),
            data.table("items"),
        ),
        ours=own_methods(measured),
        rating_max=config.data.rating_max,
    )
    files = {
        RECOMMENDATIONS_FILE: _parquet(lists),
        METRICS_FILE: _parquet(pl.concat([measured, explained])),
        CALLS_FILE: _parquet(calls),
        SUMMARY_FILE: summary.model_dump_json(indent=1).encode(),
        REPORT_FILE: render(page).encode(),
    }
    publish(config.runs_root, run_name, files)
    return summary


def tell(log: RunLog) -> list[StepSummary]:
    """The steps of a flow, in the order in which they ended: rows, seconds, cached or not."""
    return [
        StepSummary(
            step=one.step,
            seconds=one.seconds,
            peak_memory_mib=one.peak_memory_mib,
            rows=one.rows,
            cached=one.cached,
            artifact=one.ref.uri,
        )
        for one in log.steps
    ]


def made_calls(log: RunLog) -> pl.DataFrame:
    """The ledger of the calls made in this run; cached steps made none."""
    ledgers = [
        one.ref.table(LEDGER) for one in log.steps if not one.cached and LEDGER in one.ref.tables
    ]
    return pl.concat([pl.DataFrame(schema=dict(LLM_CALLS)), *ledgers])


def judging_calls(log: RunLog) -> pl.DataFrame:
    """The ledger of the lists that were judged and measured, whichever run made its calls.

    A run that refits judges twice; the first time is the one that is measured.
    """
    found = [one.ref.table(LEDGER) for one in log.steps if one.step == RERANK]
    return found[0] if found else pl.DataFrame(schema=dict(LLM_CALLS))


def default_name(data: ArtifactRef, started: datetime) -> str:
    """Name of a run that was given none: the time (UTC) and the data set."""
    kept = "".join(c if c.isalnum() or c in "._-" else "-" for c in data.manifest.facts["name"])
    return f"{started:%Y%m%dT%H%M%S}-{kept[:60]}"


def _models(config: RunConfig, served: Lists) -> dict[str, str]:
    return {
        "llm": config.llm.model,
        "embedding": config.embedding.model,
        "embedding_backend": str(served.vectors.manifest.facts["backend"]),
        "graph": config.graph.preset,
        "graph_device": str(served.model.manifest.facts["device"]),
    }


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
