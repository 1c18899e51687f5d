"""The report as one HTML page: no network, no script, everything escaped."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from markupsafe import Markup

from recsys_core.columns import (
    CURVES,
    LLM_CALLS,
    LOSS,
    METHOD,
    METRIC,
    METRICS,
    PHASE,
    PROTOCOL,
    VALID_NDCG,
    K,
    check,
)
from recsys_core.report import plots, views
from recsys_core.report.data import ReportData
from recsys_core.report.summary import HEADLINE_K, HEADLINE_PROTOCOL

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATE: Final = "report.html.j2"


def render(data: ReportData) -> str:
    """The page `report.html` of a run; the same data give the same text.

    Raises:
        DataError: a table breaks its schema.
    """
    check(data.metrics, METRICS, table="metrics")
    check(data.curves, CURVES, table="curves")
    check(data.calls, LLM_CALLS, table="llm_calls")
    return environment().get_template(_TEMPLATE).render(**_context(data))


def environment() -> "Environment":
    """The templates of all pages: everything escaped, nothing undefined."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("recsys_core.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(flat=views.flat, blocks=views.profile_blocks, seconds=_seconds)
    return found


def _context(data: ReportData) -> dict[str, Any]:
    tables = _tables(data)
    headline = tables[0]["rows"] if tables else []
    series = _series(headline)
    return {
        "summary": data.summary,
        "shown": views.SHOWN,
        "headline_k": HEADLINE_K,
        "tables": tables,
        "tiles": _tiles(headline),
        "series": series,
        "hidden": max(len(headline) - len(series), 0),
        "ours": set(data.ours),
        "by_k": _by_k(data.metrics, series, data.ours) if series else [],
        "training": _training(data.curves),
        "phases": data.curves[PHASE].unique(maintain_order=True).to_list(),
        "slowest": max((step.seconds for step in data.summary.steps), default=0.0) or 1.0,
        "calls": views.call_rows(data.calls),
        "samples": data.samples,
        "rating_max": data.rating_max,
    }


def _tables(data: ReportData) -> list[dict[str, Any]]:
    """One table per protocol, the headline protocol first, cold users after all users."""
    names = views.protocols(data.metrics)
    names.sort(key=lambda name: name != HEADLINE_PROTOCOL)
    found = []
    for name in names:
        cutoffs = data.metrics.filter(pl.col(PROTOCOL) == name)[K].unique().sort().to_list()
        k = HEADLINE_K if HEADLINE_K in cutoffs else cutoffs[-1]
        rows = views.method_rows(data.metrics, name, k, data.ours)
        found.append({"protocol": name, "k": k, "rows": rows})
    return [table for table in found if table["rows"]]


def _series(rows: Sequence[views.MethodRow]) -> list[str]:
    """Methods of the plots: those of this run first, so that they have the first colours."""
    return [row.method for row in sorted(rows, key=lambda row: not row.ours)][: plots.SERIES]


def _tiles(rows: Sequence[views.MethodRow]) -> dict[str, views.MethodRow | None]:
    """The best method of this run and the best of the others, where there are such."""
    own = next((row for row in rows if row.ours), None)
    other = next((row for row in rows if not row.ours), None)
    return {"own": own, "other": other}


def _by_k(
    metrics: pl.DataFrame, methods: Sequence[str], ours: Sequence[str]
) -> list[tuple[str, Markup]]:
    """The plots of the headline protocol; a metric with fewer than two cut-offs has none."""
    part = metrics.filter((pl.col(PROTOCOL) == HEADLINE_PROTOCOL) & pl.col(METHOD).is_in(methods))
    return [
        (name, plots.metric_by_k(part, HEADLINE_PROTOCOL, name, methods, ours))
        for name in views.SHOWN
        if part.filter(pl.col(METRIC) == name)[K].n_unique() > 1
    ]


def _training(curves: pl.DataFrame) -> list[tuple[str, Markup]]:
    captions = {LOSS: "Training loss", VALID_NDCG: "NDCG@10 on the validation split"}
    return [
        (caption, plots.training_curve(curves, column))
        for column, caption in captions.items()
        if curves[column].count() > 0
    ]


def _seconds(value: float) -> str:
    if value < 100:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
