"""The plots of a run's report as a table: drawn once for the same results, kept as an artifact."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl
from markupsafe import Markup

from recsys_core.columns import (
    CALIBRATION,
    CAPTION,
    DIVERSITY,
    FIGURES,
    GROUP,
    LOSS,
    METHOD,
    METRIC,
    NDCG_AT_10,
    PROTOCOL,
    SVG,
    VALID_NDCG,
    K,
)
from recsys_core.evaluation.metric_table import METRICS
from recsys_core.report import plots, summary
from recsys_core.report import view_models as views
from recsys_core.report.summary import HEADLINE_PROTOCOL

BY_CUTOFF: Final = "by cut-off"
TRAINING: Final = "training"
TRADE_OFF: Final = "trade-off"


def figures(
    metrics: pl.DataFrame,
    curves: pl.DataFrame,
    ours: Sequence[str],
    trade_off: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Draw every plot of the page; the same tables give the same bytes.

    Args:
        metrics: `columns.METRICS`.
        curves: `columns.CURVES`.
        ours: methods of this run, set off from the baselines.
        trade_off: `columns.TRADE_OFF`.

    Returns:
        `columns.FIGURES`, in the order of the page.
    """
    rows = [*_by_cutoff(metrics, ours), *_training(curves), *_trade_off(trade_off)]
    return pl.DataFrame(rows, schema=dict(FIGURES), orient="row")


def pictures(table: pl.DataFrame, group: str) -> list[tuple[str, Markup]]:
    """Caption and inline SVG of one group. The table is `figures`': drawn here, so not escaped."""
    part = table.filter(pl.col(GROUP) == group)
    return [
        (caption, Markup(svg))  # noqa: S704 - drawn by plots.py, which escapes its labels
        for caption, svg in part.select(CAPTION, SVG).iter_rows()
    ]


def series(metrics: pl.DataFrame, ours: Sequence[str]) -> list[str]:
    """Methods of the plots: those of this run first, so that they have the first colours."""
    rows = views.method_rows(metrics, HEADLINE_PROTOCOL, table_k(metrics), ours)
    return [row.method for row in sorted(rows, key=lambda row: not row.ours)][: plots.SERIES]


def table_k(metrics: pl.DataFrame, protocol: str = HEADLINE_PROTOCOL) -> int:
    """The cut-off of a protocol's table: the headline's, or the largest one measured."""
    cutoffs = metrics.filter(pl.col(PROTOCOL) == protocol)[K].unique().sort().to_list()
    return summary.headline_k(cutoffs)


_Row = tuple[str, str, str]


def _by_cutoff(metrics: pl.DataFrame, ours: Sequence[str]) -> Iterator[_Row]:
    """A metric with fewer than two cut-offs has no plot."""
    methods = series(metrics, ours)
    part = metrics.filter((pl.col(PROTOCOL) == HEADLINE_PROTOCOL) & pl.col(METHOD).is_in(methods))
    for one in METRICS:
        if one.plotted and part.filter(pl.col(METRIC) == one.name)[K].n_unique() > 1:
            svg = plots.metric_by_k(part, HEADLINE_PROTOCOL, one.name, methods, ours)
            yield BY_CUTOFF, one.name, svg


def _training(curves: pl.DataFrame) -> Iterator[_Row]:
    captions = {LOSS: "Training loss", VALID_NDCG: "NDCG@10 on the validation split"}
    for column, caption in captions.items():
        if curves[column].count() > 0:
            yield TRAINING, caption, plots.training_curve(curves, column)


def _trade_off(found: pl.DataFrame | None) -> Iterator[_Row]:
    if found is None or found.is_empty():
        return
    captions = {
        DIVERSITY: "Intra-list diversity (higher is more various)",
        CALIBRATION: "Calibration error (lower is closer to the user's genres)",
    }
    for column, caption in captions.items():
        # Without genres no list has a calibration error, without vectors none a diversity.
        known = found.drop_nulls(column).filter(
            pl.all_horizontal(pl.col(column, NDCG_AT_10).is_finite())
        )
        if known.height:
            yield TRADE_OFF, f"{caption} and NDCG@10", plots.trade_off(known, column)
