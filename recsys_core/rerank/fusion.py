"""Score fusion: the LLM's scores with the graph's (paper, section 2.3: weights 0.8 and 0.2).

The two have nothing in common: dot products here, 0 to 100 there, and both differ in spread from
user to user. How they are made comparable per user is the *scale*:

- `score`: both linearly between the user's lowest and highest, which keeps the distances: a wide
  lead of the graph's first places is not overruled by small differences in LLM scores.
- `rank`: both by rank, equal scores sharing their mean rank. Nothing but the order counts, so
  that crowded scores, or an outlier among them, weigh no more and no less.
- `zscore`: both by mean and standard deviation, so that a single far-off score does not press
  the others together.
- `absolute`: the graph's as in `score`, the LLM's on their own scale of 0 to 100. Repeated
  judgements that disagree have means that crowd in the middle, so they count less: the weight
  follows the agreement.

Which one, and at which weight, `learned_fusion` finds on validation.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import polars as pl

from recsys_core.columns import (
    GRAPH_SCORE,
    ITEM,
    JUDGED,
    LLM_SCORE,
    RANK,
    RERANKED,
    RERANKED_USERS,
    SCALE,
    SCORE,
    STRATEGY,
    USER,
    WEIGHT,
    check,
)  # fmt: skip
from recsys_core.rerank.reranker import in_graph_order
from recsys_core.rerank.strategies.listwise import TOP

Scale = Literal["score", "rank", "zscore", "absolute"]
SCALES: Final[tuple[Scale, ...]] = ("score", "rank", "zscore", "absolute")
GRAPH_ONLY: Final = "none"
"""STRATEGY of lists that keep the graph's order."""
_MIDDLE: Final = 0.5
"""Value of a score on a scale of one point: a single candidate, or all of them equal."""


def fused_lists(
    candidates: pl.DataFrame,
    judged: pl.DataFrame,
    users: pl.Series,
    *,
    weight: float,
    scale: Scale = "score",
) -> pl.DataFrame:
    """`fused_by_user` with one weight and one scale for all `users`."""
    settings = pl.lit(float(weight)).alias(WEIGHT), pl.lit(scale).alias(SCALE)
    return fused_by_user(candidates, judged, users.alias(USER).to_frame().with_columns(*settings))


def fused_by_user(
    candidates: pl.DataFrame, judged: pl.DataFrame, served: pl.DataFrame
) -> pl.DataFrame:
    """Every user's whole list: the judged top in its new order, then the rest in the graph's.

    Args:
        candidates: `columns.CANDIDATES`.
        judged: `columns.JUDGED` of the same candidates; users without judgements keep the
            graph's order.
        served: `columns.RERANKED_USERS`: the users whose lists the judgements may change, and
            how; the others keep the graph's order, with STRATEGY `none`.

    Returns:
        `columns.RERANKED`, ordered by user and rank. In lists that judgements changed scores are
        0..1 in the judged top and fall from 0 towards -1 below it; in the others they are the
        graph's.

    Raises:
        DataError: a table breaks its contract.
    """
    check(judged, JUDGED, table="judged")
    check(served, RERANKED_USERS, table="users")
    rows = (
        in_graph_order(candidates)
        .join(judged.select(USER, ITEM, LLM_SCORE, STRATEGY), on=[USER, ITEM], how="left")
        .join(served, on=USER, how="left")
    )
    pool = rows.filter(pl.col(STRATEGY).is_not_null())
    rows = rows.with_columns(pl.when(pl.col(WEIGHT).is_not_null()).then(STRATEGY).alias(STRATEGY))
    rows = rows.with_columns(pl.col(STRATEGY).max().over(USER).fill_null(GRAPH_ONLY))
    top = rows.join(pool, on=[USER, ITEM], how="semi")
    rest = rows.join(pool, on=[USER, ITEM], how="anti").sort(USER, RANK)
    weight = pl.when(pl.col(STRATEGY) == GRAPH_ONLY).then(0.0).otherwise(WEIGHT)
    tops = [
        fuse(own, weight=weight, scale=scale)
        for scale in SCALES
        if (own := top.filter(pl.col(SCALE).fill_null(SCALES[0]) == scale)).height
    ]
    lists = pl.concat([*tops, _below(rest)], how="diagonal")
    unchanged = pl.col(STRATEGY) == GRAPH_ONLY
    lists = lists.with_columns(pl.when(unchanged).then(GRAPH_SCORE).otherwise(SCORE).alias(SCORE))
    lists = lists.sort(USER, RANK).select(list(RERANKED))
    return check(lists, RERANKED, table="reranked")


def _below(rest: pl.DataFrame) -> pl.DataFrame:
    """What is not judged keeps its rank; scores fall from 0 towards -1 and stay below 0..1."""
    place = pl.int_range(1, pl.len() + 1).over(USER)
    return rest.with_columns((-place / (pl.len().over(USER) + 1)).cast(pl.Float32).alias(SCORE))


def fuse(judged: pl.DataFrame, *, weight: float | pl.Expr, scale: Scale = "score") -> pl.DataFrame:
    """Order every user's candidates by `weight` x LLM + (1 - `weight`) x graph.

    A candidate without an LLM score stands at its graph value alone, so a user without any keeps
    exactly the graph's order. Equal fused scores keep the graph's order too.

    Args:
        judged: USER, RANK (the graph's), GRAPH_SCORE, LLM_SCORE (null where there is none), and
            any further columns; a row per candidate.
        weight: share of the LLM score, 0 to 1; an expression may give every user another.
        scale: how scores are made comparable.

    Returns:
        The same rows, ordered by user and new RANK (1 is best), with SCORE in 0..1.
    """
    graph, llm = _SCALED[scale]()
    share = pl.lit(weight) if isinstance(weight, float | int) else weight
    fused = pl.when(llm.is_null()).then(graph).otherwise(share * llm + (1 - share) * graph)
    if scale == "zscore":
        fused = _unit(fused).over(USER)
    return (
        judged.with_columns(fused.alias(SCORE))
        .sort(USER, SCORE, RANK, descending=[False, True, False])
        .with_columns(
            pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(USER).alias(RANK),
            pl.col(SCORE).cast(pl.Float32),
        )
    )


def _scores() -> tuple[pl.Expr, pl.Expr]:
    return pl.col(GRAPH_SCORE).cast(pl.Float64), pl.col(LLM_SCORE).cast(pl.Float64)


def _by_score() -> tuple[pl.Expr, pl.Expr]:
    graph, llm = _scores()
    return _unit(graph).over(USER), _unit(llm).over(USER)


def _by_rank() -> tuple[pl.Expr, pl.Expr]:
    # The graph's own rank has no ties; its scores might.
    graph, llm = -pl.col(RANK).cast(pl.Float64), pl.col(LLM_SCORE).rank("average")
    return _unit(graph).over(USER), _unit(llm).over(USER)


def _by_zscore() -> tuple[pl.Expr, pl.Expr]:
    graph, llm = _scores()
    return _standardised(graph).over(USER), _standardised(llm).over(USER)


def _absolute() -> tuple[pl.Expr, pl.Expr]:
    graph, llm = _scores()
    return _unit(graph).over(USER), (llm / TOP).clip(0.0, 1.0)


_SCALED: Final[Mapping[Scale, Callable[[], tuple[pl.Expr, pl.Expr]]]] = {
    "score": _by_score, "rank": _by_rank, "zscore": _by_zscore, "absolute": _absolute,
}  # fmt: skip


def _unit(values: pl.Expr) -> pl.Expr:
    """Values between 0 (lowest) and 1 (highest); null stays null."""
    low, spread = values.min(), values.max() - values.min()
    return (
        pl.when(values.is_not_null() & (spread <= 0))
        .then(_MIDDLE)
        .otherwise((values - low) / spread)
    )


def _standardised(values: pl.Expr) -> pl.Expr:
    """Values less their mean, by their standard deviation; null stays null."""
    spread = values.std(ddof=0)
    return (
        pl.when(values.is_not_null() & (spread <= 0))
        .then(0.0)
        .otherwise((values - values.mean()) / spread)
    )
