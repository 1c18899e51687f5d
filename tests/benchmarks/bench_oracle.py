"""Which strategy to choose: a model that errs at a known rate, on MovieLens 100K.

Lists by EASE fitted on training ratings; the oracle on the fake server knows the validation
ratings (unrated items stand between liked and disliked ones, equal ones in a drawn order). Per
strategy and error: calls per user, Kendall's tau between the strategy's order and the oracle's,
and NDCG@10 on validation after the fusion 0.8 to 0.2.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys_core.columns import ITEM, LLM_SCORE, OVERVIEW, RANK, RANKING, RATING, USER
from recsys_core.evaluation.metrics import NDCG
from recsys_core.evaluation.protocols import FULL, judge
from recsys_core.evaluation.rankings import is_liked
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.fusion import fused_lists
from recsys_core.rerank.reranker import rerank
from recsys_core.rerank.user_context import RerankTables
from tests.benchmarks.rerank_data import DATA, World, load
from tests.fake_openai import FakeOpenAI
from tests.oracle import WHO, Oracle

USERS = 60
ERRORS = (0.0, 0.1, 0.2, 0.3)
NEUTRAL = 3.0
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "prompt-level": {"strategy": "prompt-level"},
    "pairwise": {"strategy": "pairwise"},
    "pairwise, both orders": {"strategy": "pairwise", "both_orders": True},
    "overlapping (2)": {"strategy": "overlapping"},
    "overlapping (4)": {"strategy": "overlapping", "overlap": 4},
    "relevancy": {"strategy": "relevancy"},
}


def sampled(world: World, count: int) -> pl.Series:
    """Users with a liked validation item among their candidates."""
    liked = world.split.valid.filter(is_liked(DATA.like_from))
    users = world.candidates.join(liked, on=[USER, ITEM])[USER].unique().sort()
    return users.sample(min(count, users.len()), seed=0).sort()


def true_orders(lists: pl.DataFrame, valid: pl.DataFrame) -> dict[str, list[str]]:
    """Every user's candidates by hidden rating; equal ones in a drawn order."""
    drawn = pl.Series("drawn", np.random.default_rng(0).random(lists.height))
    rated = lists.join(valid.select(USER, ITEM, RATING), on=[USER, ITEM], how="left",
                       maintain_order="left")  # fmt: skip
    ordered = rated.with_columns(pl.col(RATING).fill_null(NEUTRAL), drawn).sort(
        USER, RATING, "drawn", descending=[False, True, False]
    )
    grouped = ordered.group_by(USER, maintain_order=True).agg(ITEM)
    return {str(user): [str(item) for item in items] for user, items in grouped.iter_rows()}


def ask(
    tables: RerankTables, oracle: Oracle, config: Mapping[str, Any]
) -> tuple[pl.DataFrame, int]:
    async def run(url: str, folder: Path) -> tuple[pl.DataFrame, int]:
        llm = LLMConfig(
            model="openai/oracle", api_base=url, max_in_flight=32,
            cache_url=f"sqlite:///{folder / 'llm.sqlite'}",
        )  # fmt: skip
        async with open_provider(llm) as provider:
            settings = RerankConfig.model_validate(config)
            judged, _ = await rerank(tables, provider=provider, config=settings, seed=0)
            return judged, provider.usage().calls.height

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with FakeOpenAI(folder / "requests.jsonl", answer=oracle) as server:
            return asyncio.run(run(server.url, folder))


def ndcg(lists: pl.DataFrame, world: World, users: pl.Series) -> float:
    mine = pl.col(USER).is_in(users.implode())
    judged = judge(
        lists.filter(mine).select(list(RANKING)), world.split.train,
        world.split.valid.filter(mine), method="oracle", protocol=FULL, cutoffs=(10,),
        like_from=DATA.like_from,
    )  # fmt: skip
    return float(np.nanmean(judged.per_user(NDCG, 10)))


def agreement(judged: pl.DataFrame, orders: Mapping[str, list[str]]) -> float:
    from scipy.stats import kendalltau

    taus = []
    for (user,), own in judged.group_by(USER):
        truth = [-orders[str(user)].index(str(item)) for item in own[ITEM]]
        taus.append(kendalltau(truth, own[LLM_SCORE].to_list()).statistic)
    return float(np.mean(taus))


def main(count: int = USERS) -> None:
    world = load(published=True)
    users = sampled(world, count)
    lists = world.candidates.filter(pl.col(USER).is_in(users.implode())).sort(USER, RANK)
    named = pl.concat_str(pl.lit(WHO), pl.col(USER).cast(pl.String)).alias(OVERVIEW)
    profiles = world.tables.user_profiles.with_columns(named)
    tables = replace(world.tables, candidates=lists, user_profiles=profiles)
    orders = true_orders(lists, world.split.valid)
    print(
        f"{users.len()} users; the graph's NDCG@10 on validation: {ndcg(lists, world, users):.3f}"
    )
    print("| strategy | error | calls per user | tau | NDCG@10 |\n|---|--:|--:|--:|--:|")
    for name, config in STRATEGIES.items():
        for error in ERRORS:
            judged, calls = ask(tables, Oracle(orders, error=error), config)
            fused = fused_lists(lists, judged, users, weight=0.8)
            print(
                f"| {name} | {error:.0%} | {calls / users.len():.1f} |"
                f" {agreement(judged, orders):.3f} | {ndcg(fused, world, users):.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
