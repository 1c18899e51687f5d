"""Reranking of all users by one strategy: an LLM score per candidate, which `fusion` then uses."""

import zlib
from collections import Counter
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_core.columns import (
    AGREEMENT,
    GRAPH_SCORE,
    ITEM,
    JUDGED,
    LLM_SCORE,
    RANK,
    SCORE,
    STRATEGY,
    USER,
    check,
)  # fmt: skip
from recsys_core.concurrency import Progress, map_bounded
from recsys_core.llm.providers.base import Provider
from recsys_core.prompt_context.models import UserContext
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.strategies.base import Completed, judge_safely
from recsys_core.rerank.strategies.registry import NONE, make_strategy
from recsys_core.rerank.user_context import RerankTables, UserContexts

Facts = dict[str, Any]
"""Counts for the run's summary."""

_SPARE: Final = 2
"""Requests under way per request in flight: enough that none is missing, and few enough that
none waits for long."""


async def rerank(
    tables: RerankTables,
    *,
    provider: Provider,
    config: RerankConfig,
    seed: int,
    in_flight: int | None = 64,
    on_user: Progress | None = None,
) -> tuple[pl.DataFrame, Facts]:
    """Judge the top candidates of every user (paper, section 2.3).

    No candidate is lost, invented or named twice, whatever the model answers: what it does not
    judge has no score and keeps the graph's opinion in the fusion, and is counted.

    Args:
        tables: candidates and what is known about users and items, from training data only.
        provider: who judges.
        config: strategy, number of candidates.
        seed: of the shuffles; a user's shuffles depend on it and on the user's id only.
        in_flight: requests that the provider takes at a time; it has the last word, this only
            says how many users are taken on. None takes on all of them at once.
        on_user: called with the number of users done.

    Returns:
        `columns.JUDGED`, the top `config.candidates` of every user by user and graph rank, and
        the facts for the summary: `fallback_users` have no LLM score at all, `fallback_items` are
        all items without one.

    Raises:
        DataError: a table breaks its contract.
        LLMStopped: the run ends (budget, key, endpoint, or what the configuration says of invalid
            answers).
    """
    pool = in_graph_order(tables.candidates).filter(pl.col(RANK) <= config.candidates)
    facts: Facts = {
        "strategy": config.strategy, "users": pool[USER].n_unique(), "items": pool.height,
    }  # fmt: skip
    scores = pl.Series(LLM_SCORE, [None] * pool.height, pl.Float32)
    agreement = pl.Series(AGREEMENT, [None] * pool.height, pl.Float32)
    if config.strategy != NONE:
        strategy = make_strategy(config.strategy, config)
        contexts = UserContexts(pool, tables)
        at_once = max(1, len(contexts))
        if in_flight is not None:
            at_once = -(-_SPARE * in_flight // strategy.width(config.candidates))

        async def judge(context: UserContext) -> Completed:
            rng = np.random.default_rng([seed, zlib.crc32(context.user.encode())])
            return await judge_safely(strategy, context, provider, rng)

        done = await map_bounded(contexts, judge, at_once=at_once, on_done=on_user)
        scores = pl.Series(LLM_SCORE, [one for user in done for one in user.scores], pl.Float32)
        agreement = pl.Series(
            AGREEMENT, [user.agreement for user in done for _ in user.scores], pl.Float32
        )
        facts |= _counts(done) | tables.missing(pool)
    judged = pool.with_columns(scores, agreement, pl.lit(config.strategy).alias(STRATEGY))
    return check(judged.select(list(JUDGED)), JUDGED, table="judged"), facts


def in_graph_order(candidates: pl.DataFrame) -> pl.DataFrame:
    """Ordered by user and rank, ranks counted anew from 1 without gaps, with GRAPH_SCORE."""
    return candidates.sort(USER, RANK).select(
        USER, ITEM,
        pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(USER).alias(RANK),
        pl.col(SCORE).alias(GRAPH_SCORE),
    )  # fmt: skip


def _counts(judged: list[Completed]) -> Facts:
    return {
        "fallback_users": sum(user.missing == len(user.scores) for user in judged),
        "fallback_items": sum(user.missing for user in judged),
        "invented_items": sum(user.invented for user in judged),
        "failed_requests": sum(user.failed_requests for user in judged),
        "answers_by_model": dict(sum((user.models for user in judged), Counter[str]())),
    }


def mean_agreement(judged: pl.DataFrame) -> float | None:
    """Mean over users of the agreement between repeated rankings; None where nothing repeats.

    Args:
        judged: `columns.JUDGED`.
    """
    return judged.unique(USER)[AGREEMENT].mean()  # type: ignore[return-value]
