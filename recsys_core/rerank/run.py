"""Reranking of all users: judge, complete, fuse."""

import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_core.columns import (
    GRAPH_SCORE,
    ITEM,
    LLM_SCORE,
    RANK,
    RERANKED,
    SCORE,
    STRATEGY,
    USER,
    check,
)  # fmt: skip
from recsys_core.concurrency import Progress, map_bounded
from recsys_core.config import RerankConfig
from recsys_core.llm.types import Provider
from recsys_core.rerank.cases import Cases, Tables
from recsys_core.rerank.fusion import fuse
from recsys_core.rerank.inputs import UserCase
from recsys_core.rerank.relevancy import RelevancyScoring
from recsys_core.rerank.strategy import Completed, Strategy, judge_safely

Facts = dict[str, Any]
"""Counts for the run's summary."""

_USERS_AT_ONCE: Final = 64
"""Users under way; the provider has the last word on requests in flight."""


def strategy_of(config: RerankConfig) -> Strategy | None:
    """The strategy that the configuration names; None keeps the graph's order."""
    if config.strategy == "none":
        return None
    return RelevancyScoring(batch_size=config.batch_size, repeats=config.repeats)


async def rerank(
    tables: Tables,
    *,
    provider: Provider,
    config: RerankConfig,
    seed: int,
    on_user: Progress | None = None,
) -> tuple[pl.DataFrame, Facts]:
    """Rerank the top candidates of every user (paper, section 2.3).

    No candidate is lost, invented or named twice, whatever the model answers: what it does not
    score keeps the graph's opinion, and is counted. Candidates below `config.candidates` follow
    in the graph's order with scores below zero.

    Args:
        tables: candidates and what is known about users and items, from training data only.
        provider: who judges.
        config: strategy, number of candidates, fusion.
        seed: of the shuffles; a user's shuffles depend on it and on the user's id only.
        on_user: called with the number of users done.

    Returns:
        `columns.RERANKED`, ordered by user and rank, and the facts for the summary:
        `fallback_users` have no LLM score at all, `fallback_items` are all items without one.

    Raises:
        DataError: a table breaks its contract.
        BudgetExceeded: the ceiling of the budget is reached.
        LLMRefused: the endpoint rejects the request or the key.
    """
    ordered = _in_graph_order(tables.candidates)
    pool = ordered.filter(pl.col(RANK) <= config.candidates)
    strategy, facts = strategy_of(config), _facts(config, pool)
    scores = pl.Series(LLM_SCORE, [None] * pool.height, pl.Float32)
    if strategy is not None:
        judged = await _judge(strategy, Cases(pool, tables), provider, seed, on_user)
        scores = pl.Series(LLM_SCORE, [one for user in judged for one in user.scores], pl.Float32)
        facts |= _counts(judged) | tables.missing(pool)
    fused = fuse(pool.with_columns(scores), weight=config.llm_weight, method=config.fusion)
    below = _below(ordered.filter(pl.col(RANK) > config.candidates))
    reranked = pl.concat([fused, below], how="diagonal").sort(USER, RANK).with_columns(
        pl.lit(config.strategy).alias(STRATEGY)
    )  # fmt: skip
    return check(reranked.select(list(RERANKED)), RERANKED, table="reranked"), facts


def _in_graph_order(candidates: pl.DataFrame) -> pl.DataFrame:
    """Ordered by user and rank, ranks counted anew from 1 without gaps."""
    return candidates.sort(USER, RANK).select(
        USER, ITEM,
        pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(USER).alias(RANK),
        pl.col(SCORE).alias(GRAPH_SCORE),
    )  # fmt: skip


def _below(rest: pl.DataFrame) -> pl.DataFrame:
    """What is not reranked keeps its rank; scores fall from 0 towards -1 and stay below 0..1."""
    place = pl.int_range(1, pl.len() + 1).over(USER)
    return rest.with_columns(
        (-place / (pl.len().over(USER) + 1)).cast(pl.Float32).alias(SCORE),
        pl.lit(None, pl.Float32).alias(LLM_SCORE),
    )


async def _judge(
    strategy: Strategy, cases: Iterable[UserCase], provider: Provider, seed: int,
    on_user: Progress | None,
) -> list[Completed]:  # fmt: skip
    async def judge(case: UserCase) -> Completed:
        rng = np.random.default_rng([seed, zlib.crc32(case.user.encode())])
        return await judge_safely(strategy, case, provider, rng)

    return await map_bounded(cases, judge, at_once=_USERS_AT_ONCE, on_done=on_user)


def _facts(config: RerankConfig, pool: pl.DataFrame) -> Facts:
    return {
        "strategy": config.strategy, "fusion": config.fusion, "llm_weight": config.llm_weight,
        "users": pool[USER].n_unique(), "items": pool.height,
    }  # fmt: skip


def _counts(judged: list[Completed]) -> Facts:
    return {
        "fallback_users": sum(user.missing == len(user.scores) for user in judged),
        "fallback_items": sum(user.missing for user in judged),
        "invented_items": sum(user.invented for user in judged),
        "failed_requests": sum(user.failed_requests for user in judged),
        "answers_by_model": dict(sum((user.models for user in judged), Counter[str]())),
    }
