"""What each rerank strategy gains over the lists that it reranks, and what it costs.

The paper's Figure 3 as a table, with the authors' own lists before and after reranking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from recsys_core.columns import (
    CALLS,
    COST,
    DATA_SET,
    FOLD,
    METHOD,
    METRIC,
    PROTOCOL,
    SECONDS,
    TOKENS_IN,
    TOKENS_OUT,
    VALUE,
    K,
)
from recsys_core.evaluation.metrics import NDCG

SUMS: Final = (CALLS, TOKENS_IN, TOKENS_OUT, COST, SECONDS)
"""What is told of the cost, per 1,000 users."""


@dataclass(frozen=True, kw_only=True)
class Reranking:
    """A method whose lists are another one's, reranked."""

    base: str
    method: str
    strategy: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """NDCG before and after reranking, means over the same folds."""

    before: float
    after: float

    @property
    def gain(self) -> float:
        """What reranking adds; below zero it does harm."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class StrategyRow:
    """One strategy on one data set.

    Attributes:
        data_set: name of the data set.
        reranking: which lists, and by which strategy.
        folds: folds that have both lists.
        changes: protocol -> NDCG before and after.
        costs: `SUMS`, per 1,000 users; empty where no model was called.
    """

    data_set: str
    reranking: Reranking
    folds: tuple[int, ...]
    changes: Mapping[str, Change]
    costs: Mapping[str, float]


def gains(
    metrics: pl.DataFrame,
    pairs: Sequence[Reranking],
    costs: pl.DataFrame,
    protocols: Sequence[str],
    k: int,
) -> list[StrategyRow]:
    """A row per data set and pair whose two methods were measured.

    Args:
        metrics: `columns.REPRODUCTION`.
        pairs: what was reranked, and how.
        costs: DATA_SET, METHOD and `columns.STRATEGY_COSTS`, a row per fold and model.
        protocols: whose NDCG.
        k: cut-off.
    """
    part = metrics.filter(
        (pl.col(METRIC) == NDCG) & (pl.col(K) == k) & pl.col(PROTOCOL).is_in(list(protocols))
    ).drop_nulls(VALUE)
    rows = [
        _row(part.filter(pl.col(DATA_SET) == name), name, pair, costs)
        for name in metrics[DATA_SET].unique(maintain_order=True)
        for pair in pairs
    ]
    return [row for row in rows if row is not None]


def _row(
    metrics: pl.DataFrame, data_set: str, pair: Reranking, costs: pl.DataFrame
) -> StrategyRow | None:
    before, after = (
        metrics.filter(pl.col(METHOD) == name).select(FOLD, PROTOCOL, VALUE)
        for name in (pair.base, pair.method)
    )
    both = before.join(after, on=[FOLD, PROTOCOL], suffix="_after")
    if both.is_empty():
        return None
    means = both.group_by(PROTOCOL).agg(pl.col(VALUE, f"{VALUE}_after").mean())
    own = costs.filter((pl.col(DATA_SET) == data_set) & (pl.col(METHOD) == pair.method))
    return StrategyRow(
        data_set=data_set,
        reranking=pair,
        folds=tuple(both[FOLD].unique().sort()),
        changes={name: Change(before=one, after=two) for name, one, two in means.iter_rows()},
        costs=own.select(pl.col(SUMS).mean()).row(0, named=True) if own.height else {},
    )
