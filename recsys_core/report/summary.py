"""`summary.json`: a run in numbers, for scripts and for CI's quality gate."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from recsys_core.columns import COST, METHOD, METRIC, PROTOCOL, TOKENS_IN, TOKENS_OUT, VALUE, K
from recsys_core.report.sections.since_last import SinceLast

HEADLINE_K = 10
HEADLINE_PROTOCOL = "full"


def headline_k(cutoffs: Collection[int]) -> int:
    """The cut-off of tables and tests: 10 where it is measured, else the largest."""
    return HEADLINE_K if HEADLINE_K in cutoffs or not cutoffs else max(cutoffs)


class StepSummary(BaseModel):
    """One step: wall seconds in this run, peak MiB while it was built, rows written."""

    model_config = ConfigDict(frozen=True)

    step: str
    seconds: float
    peak_memory_mib: float
    rows: int
    cached: bool
    artifact: str


class LLMSummary(BaseModel):
    """Calls made in this run and what they cost; answers by rules are no calls."""

    model_config = ConfigDict(frozen=True)

    model: str
    calls: int
    tokens_in: int
    tokens_out: int
    cost_usd: float


class DataSummary(BaseModel):
    """The data set of a run: what later runs must share to be compared with it."""

    model_config = ConfigDict(frozen=True)

    name: str
    fingerprint: str
    users: int
    items: int
    interactions: int


class Summary(BaseModel):
    """What happened in a run."""

    model_config = ConfigDict(frozen=True)

    run_name: str
    flow_run_id: str
    created: datetime
    seconds: float
    folder: str
    data_source: str
    data: DataSummary
    models: dict[str, str]
    steps: list[StepSummary]
    llm: LLMSummary
    headline: dict[str, dict[str, float | None]]
    """Method -> metric -> value, protocol `full` at k = 10; null where no user counts."""
    reranking: list[str] = []
    """What the probe said about reranking, what it cost and what judging everybody would have;
    how far repeated judgements agree."""
    changes: list[str] = []
    """How the model was trained, and what changed since the last run of this configuration."""
    since_last: SinceLast | None = None
    """The served lists beside those of that run; null for the first one."""
    facts: dict[str, dict[str, Any]]
    """What the steps want to be known, by step: counted fallbacks, devices, sources."""
    config: dict[str, Any]


def headline(metrics: pl.DataFrame) -> dict[str, dict[str, float | None]]:
    """Method -> metric -> value under the headline protocol; empty without a test split."""
    rows = metrics.filter(
        (pl.col(PROTOCOL) == HEADLINE_PROTOCOL) & (pl.col(K) == HEADLINE_K)
    ).select(METHOD, METRIC, VALUE)
    table: dict[str, dict[str, float | None]] = {}
    for method, metric, value in rows.iter_rows():
        table.setdefault(method, {})[metric] = value
    return table


def llm_summary(calls: pl.DataFrame, model: str) -> LLMSummary:
    """Totals of the ledger of one run."""
    return LLMSummary(
        model=model,
        calls=calls.height,
        tokens_in=int(calls[TOKENS_IN].sum()),
        tokens_out=int(calls[TOKENS_OUT].sum()),
        cost_usd=float(calls[COST].sum()),
    )
