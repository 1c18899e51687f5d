"""Dry run: how many calls a run makes to its language model, and what they cost."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from recsys_core.columns import ITEM, USER
from recsys_core.config import RunConfig
from recsys_core.explanations.evaluation.llm_judge import judge_reasons
from recsys_core.explanations.explainer import explain
from recsys_core.interactions.lookup import vector_table
from recsys_core.llm.accounting.budget import Estimate, Planned, estimate
from recsys_core.llm.providers.dry_run import DryRunProvider
from recsys_core.profiles.history_selection import select_history
from recsys_core.profiles.items import profile_items
from recsys_core.profiles.users import profile_users
from recsys_core.recommenders.popularity import Popularity
from recsys_core.rerank.fusion import fused_lists
from recsys_core.rerank.reranker import rerank
from recsys_core.rerank.user_context import RerankTables
from tasks.runtime.references import DatasetRef, SplitRef, shown_history


@task(name="dry_run", tags={"recsys", "dry_run"}, cache_policy=NO_CACHE, persist_result=False)
def dry_run(config: RunConfig, *, data: DatasetRef, split: SplitRef) -> Estimate:
    """Calls, tokens, dollars and hours of a run, at most: cached answers are not looked up.

    The requests are those of the run, with popular items as candidates and rules for answers;
    nothing is asked of the model.

    Args:
        config: the run's parameters.
        data: the ingested data set.
        split: its training part is what requests show.
    """
    provider = DryRunProvider(config.llm)
    asyncio.run(_ask_all(provider, data, split, config))
    planned = provider.planned()
    total = estimate(planned, config.llm)
    logger = get_run_logger()
    for line in (*lines(planned), f"{config.llm.model}: {total}"):
        logger.info(line)
    return total


def lines(planned: Sequence[Planned]) -> list[str]:
    """A line per purpose."""
    return [
        f"{one.purpose}: {one.calls:,} calls, about {one.tokens_in:,.0f} tokens in and"
        f" {one.tokens_out:,.0f} out each"
        for one in planned
    ]


async def _ask_all(
    provider: DryRunProvider, data: DatasetRef, split: SplitRef, config: RunConfig
) -> None:
    items, users, train = data.table("items"), data.table("users")[USER], split.table("train")
    evidence = select_history(train, data.scale, config.user_profiles)
    item_profiles = await profile_items(items, provider, per_call=config.item_profiles.per_call)
    user_profiles = await profile_users(users, evidence, items, item_profiles, provider)
    popular = Popularity(data.scale).fit(train, items[ITEM])
    lists = popular.recommend(
        users, config.rerank.candidates, exclude=split.masked, among=data.candidate_items
    )
    tables = RerankTables(
        candidates=lists,
        history=shown_history(split, data),
        items=items,
        item_profiles=item_profiles,
        user_profiles=user_profiles,
        user_vectors=_no_vectors(users),
        item_vectors=_no_vectors(items[ITEM]),
    )
    judged, _ = await rerank(tables, provider=provider, config=config.rerank, seed=config.seed)
    if config.fusion.policy == "auto":
        # The sample on validation has other candidates: shuffled otherwise, it is asked anew.
        some = lists.filter(pl.col(USER).is_in(users.head(config.fusion.probe_users[-1]).implode()))
        sample = replace(tables, candidates=some)
        await rerank(sample, provider=provider, config=config.rerank, seed=config.seed + 1)
    fused = fused_lists(lists, judged, users, weight=config.fusion.fixed_weight)
    recommendations, _ = await explain(
        fused,
        history=shown_history(split, data),
        items=items,
        item_profiles=item_profiles,
        user_profiles=user_profiles,
        evidence=evidence,
        provider=provider,
        config=config.explanations,
        titles=config.rerank.candidates,
    )
    if config.explanations.judge:
        await judge_reasons(
            recommendations,
            history=shown_history(split, data),
            items=items,
            item_profiles=item_profiles,
            user_profiles=user_profiles,
            evidence=evidence,
            provider=provider,
            config=config.explanations,
            seed=config.seed,
        )


def _no_vectors(ids: pl.Series) -> pl.DataFrame:
    """Prompts do not show similarities, so a dry run needs none."""
    return vector_table(ids, np.ones((ids.len(), 1), np.float32))
