"""Views of the metrics table for people: the headline row of each method."""

import polars as pl

from recsys_core.columns import METHOD, METRIC, PROTOCOL, VALUE, K
from recsys_core.evaluation.metrics import NDCG


def headline(metrics: pl.DataFrame, *, protocol: str = "full", k: int = 10) -> pl.DataFrame:
    """A row per method, a column per metric, at one cut-off; the best NDCG first.

    Args:
        metrics: `columns.METRICS`, of one or more methods.
        protocol: label of the protocol.
        k: cut-off; where it was not measured, the result has no rows.
    """
    chosen = metrics.filter((pl.col(PROTOCOL) == protocol) & (pl.col(K) == k))
    table = chosen.pivot(METRIC, index=METHOD, values=VALUE, maintain_order=True)
    return table.sort(NDCG, descending=True, nulls_last=True) if NDCG in table.columns else table
