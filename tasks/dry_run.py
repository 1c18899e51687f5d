"""Dry run: how many calls a run makes to its language model, and what they cost."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from recsys_core.artifacts import ArtifactRef
from recsys_core.columns import ITEM, USER
from recsys_core.config import RunConfig
from recsys_core.explanations.attribution.assumed import assumed
from recsys_core.explanations.evaluation.llm_judge import judge_reasons
from recsys_core.explanations.explainer import explain
from recsys_core.interactions.lookup import vector_table
from recsys_core.llm.accounting.budget import Estimate, Planned, estimate
from recsys_core.llm.providers.dry_run import DryRunProvider
from recsys_core.llm.store.answers import AnswerCache
from recsys_core.llm.store.database import cache_url
from recsys_core.profiles.history_selection import select_history
from recsys_core.profiles.items import profile_items
from recsys_core.profiles.users import profile_users
from recsys_core.recommenders.popularity import Popularity
from recsys_core.rerank.fusion import fused_lists
from recsys_core.rerank.reranker import rerank
from recsys_core.rerank.user_context import RerankTables
from tasks.runtime.references import DatasetRef, Results, SplitRef, liking, shown_history


@task(name="dry_run", tags={"recsys", "dry_run"}, cache_policy=NO_CACHE, persist_result=False)
def dry_run(config: RunConfig, *, data: DatasetRef, split: SplitRef, kept: Results) -> Estimate:
    """New and cached calls of a run by purpose; tokens, dollars and hours of the new ones.

    Steps that are done count as cached. The requests of the others are built and looked up in the
    cache of answers; nothing is asked of the model. Candidates that depend on a training still to
    come are stood in for by popular items, so that the number of new calls is an upper bound.

    Args:
        config: the run's parameters.
        data: the ingested data set.
        split: its training part is what requests show.
        kept: what the pipeline finds done.
    """
    planned = asyncio.run(_planned(data, split, kept, config))
    total = estimate(planned, config.llm)
    logger = get_run_logger()
    for line in (*lines(planned), f"{config.llm.model}: {total}"):
        logger.info(line)
    return total


def lines(planned: Sequence[Planned]) -> list[str]:
    """A line per purpose."""
    return [
        f"{one.purpose}: {one.calls:,} new calls, {one.cached:,} cached"
        + (f"; about {one.tokens_in:,.0f} tokens in and {one.tokens_out:,.0f} out each"
           if one.calls else "")
        for one in planned
    ]  # fmt: skip


async def _planned(
    data: DatasetRef, split: SplitRef, kept: Results, config: RunConfig
) -> list[Planned]:
    cache = _cache(config)
    try:
        provider = DryRunProvider(config.llm, cache)
        done = [
            *vars(kept).values(),
            *getattr(kept, "probe_judgements", ()),
            *getattr(kept, "explanation_metrics", ()),
        ]
        for ref in done:
            if isinstance(ref, ArtifactRef):
                provider.kept(ref.manifest.facts.get("answers", {}))
        await _ask_rest(provider, data, split, kept, config)
        return provider.planned()
    finally:
        if cache is not None:
            await cache.close()


def _cache(config: RunConfig) -> AnswerCache | None:
    """The cache of answers, where there is one already: looking must not create it."""
    if not config.llm.uses_model:
        return None
    url = cache_url(config.llm.cache_url, config.artifact_root)
    scheme, _, path = url.partition(":///")
    if scheme.startswith("sqlite") and not Path(path).exists():
        return None
    return AnswerCache(url)


async def _ask_rest(
    provider: DryRunProvider, data: DatasetRef, split: SplitRef, kept: Results, config: RunConfig
) -> None:
    """Build the requests of the steps that are not done."""
    if hasattr(kept, "recommendations") and not config.explanations.judge:
        return
    items, users, train = data.table("items"), data.table("users")[USER], split.table("train")
    evidence = select_history(train, data.scale, config.user_profiles)
    item_profiles = (
        kept.item_profiles.table("item_profiles")
        if hasattr(kept, "item_profiles")
        else await profile_items(items, provider, per_call=config.item_profiles.per_call)
    )
    user_profiles = (
        kept.user_profiles.table("user_profiles")
        if hasattr(kept, "user_profiles")
        else await profile_users(users, evidence, items, item_profiles, provider)
    )
    lists = _candidates(data, split, kept, config)
    tables = RerankTables(
        candidates=lists,
        history=shown_history(split, data.scale),
        items=items,
        item_profiles=item_profiles,
        user_profiles=user_profiles,
        user_vectors=_no_vectors(users),
        item_vectors=_no_vectors(items[ITEM]),
    )
    if hasattr(kept, "judgements"):
        judged = kept.judgements.table("judged")
    else:
        judged, _ = await rerank(tables, provider=provider, config=config.rerank, seed=config.seed)
    if config.fusion.policy == "auto" and not hasattr(kept, "policy"):
        # The sample on validation has other candidates: shuffled otherwise, it is asked anew.
        some = lists.filter(pl.col(USER).is_in(users.head(config.fusion.probe_users[-1]).implode()))
        sample = replace(tables, candidates=some)
        await rerank(sample, provider=provider, config=config.rerank, seed=config.seed + 1)
    if hasattr(kept, "recommendations"):
        recommendations = kept.recommendations.table("recommendations")
    else:
        reranked = fused_lists(lists, judged, users, weight=config.fusion.fixed_weight)
        recommendations, _ = await explain(
            reranked,
            history=shown_history(split, data.scale),
            items=items,
            item_profiles=item_profiles,
            user_profiles=user_profiles,
            attributions=assumed(evidence, reranked),
            liking=liking(split, data.scale),
            provider=provider,
            config=config.explanations,
            titles=config.rerank.candidates,
            implicit=data.scale.is_implicit,
        )
    if config.explanations.judge:
        await judge_reasons(
            recommendations,
            history=shown_history(split, data.scale),
            items=items,
            item_profiles=item_profiles,
            user_profiles=user_profiles,
            attributions=assumed(evidence, recommendations),
            liking=liking(split, data.scale),
            provider=provider,
            config=config.explanations,
            seed=config.seed,
        )


def _candidates(
    data: DatasetRef, split: SplitRef, kept: Results, config: RunConfig
) -> pl.DataFrame:
    if hasattr(kept, "candidates"):
        return kept.candidates.table("candidates")
    items, users = data.table("items")[ITEM], data.table("users")[USER]
    popular = Popularity(data.scale).fit(split.table("train"), items)
    return popular.recommend(
        users, config.rerank.candidates, exclude=split.masked, among=data.candidate_items
    )


def _no_vectors(ids: pl.Series) -> pl.DataFrame:
    """Prompts do not show similarities, so a dry run needs none."""
    return vector_table(ids, np.ones((ids.len(), 1), np.float32))
