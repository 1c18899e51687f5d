"""Calls, tokens, dollars and seconds of each rerank strategy, from the ledger of calls."""

from typing import Final

import polars as pl

from recsys_core.columns import (
    CALLS,
    COST,
    LATENCY,
    LLM_CALLS,
    MODEL,
    PURPOSE,
    SECONDS,
    STARTED,
    STRATEGY,
    STRATEGY_COSTS,
    SUBJECT,
    TOKENS_IN,
    TOKENS_OUT,
    USERS,
    WAITED,
    check,
)  # fmt: skip
from recsys_core.rerank.strategies.registry import STRATEGIES

_STRATEGY_OF: Final = {one.purpose.name: name for name, one in STRATEGIES.items()}
"""The strategy that asks each purpose."""
_PER: Final = 1000.0


def strategy_costs(calls: pl.DataFrame) -> pl.DataFrame:
    """Calls, tokens, dollars and seconds per 1,000 users, a row per strategy and model.

    Repair calls count as calls; answers from the cache cost nothing and are not in the ledger, so
    a ledger of a run that found answers there tells too little. Wall time runs from the first
    call to the end of the last one, so it depends on how many were in flight.

    Args:
        calls: `columns.LLM_CALLS`, of one run or of several; other purposes are left out.

    Returns:
        `columns.STRATEGY_COSTS`, by strategy and model.

    Raises:
        DataError: the ledger breaks its contract.
    """
    check(calls, LLM_CALLS, table="llm_calls")
    ended = pl.col(STARTED) + pl.duration(
        microseconds=((pl.col(LATENCY) + pl.col(WAITED)) * 1e6).cast(pl.Int64)
    )
    wall = (ended.max() - pl.col(STARTED).min()).dt.total_microseconds() / 1e6
    summed = (TOKENS_IN, TOKENS_OUT, COST, LATENCY)
    per_user = pl.col(CALLS, *summed, SECONDS) * _PER / pl.col(USERS)
    table = (
        calls.filter(pl.col(PURPOSE).is_in(list(_STRATEGY_OF)))
        .with_columns(pl.col(PURPOSE).replace_strict(_STRATEGY_OF).alias(STRATEGY))
        .group_by(STRATEGY, MODEL)
        .agg(
            pl.col(SUBJECT).n_unique().cast(pl.Int64).alias(USERS),
            pl.len().cast(pl.Float64).alias(CALLS),
            *(pl.col(name).sum().cast(pl.Float64) for name in summed),
            wall.alias(SECONDS),
        )
        .with_columns(per_user)
        .sort(STRATEGY, MODEL)
    )
    return check(table.select(list(STRATEGY_COSTS)), STRATEGY_COSTS, table="strategy_costs")
