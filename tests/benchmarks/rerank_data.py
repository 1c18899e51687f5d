"""MovieLens 100K as the rerankers and the writers of reasons see it, for measurements.

Fold 1; lists by EASE on training ratings alone, so that validation ratings can judge
them. Profiles are the paper's published ones, or written by rules.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_core.columns import ITEM, USER, VECTOR
from recsys_core.datasets.config import SplitConfig
from recsys_core.datasets.split_parts import Split
from recsys_core.datasets.splits import split_interactions
from recsys_core.explanations.attribution.assumed import assumed
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.explainer import explain
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.providers.rules import RulesProvider
from recsys_core.profiles.config import UserProfileConfig
from recsys_core.profiles.history_selection import select_history
from recsys_core.profiles.items import profile_items
from recsys_core.profiles.ready_made import read_ready_made
from recsys_core.profiles.users import profile_users
from recsys_core.recommenders.ease import Ease
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.fusion import fused_lists
from recsys_core.rerank.reranker import rerank
from recsys_core.rerank.user_context import RerankTables

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
DATA = RatingScale()


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything that reranking and explaining read, and the ratings that judge them."""

    split: Split
    tables: RerankTables
    evidence: pl.DataFrame
    candidates: pl.DataFrame


def load(
    *,
    published: bool,
    depth: int = 20,
    users: int | None = None,
    fold: int = 1,
    shared: Path = SHARED,
) -> World:
    """Read, split, profile and rank.

    Args:
        published: the paper's profiles; else those that the rules write.
        depth: length of the lists.
        users: how many users have a list; None stands for all.
        fold: official fold.
        shared: folder of the data sets.
    """
    interactions = pl.read_parquet(shared / "ml-100k" / "interactions.parquet")
    items = pl.read_parquet(shared / "ml-100k" / "items.parquet")
    split = split_interactions(interactions, SplitConfig(fold=fold), 0)
    people = interactions[USER].unique().sort().head(users or interactions.height)
    paper = shared / "paper"
    ready_items = read_ready_made(str(paper / "item_profiles.parquet"), ITEM, items[ITEM])
    ready_users = read_ready_made(str(paper / "user_profiles.parquet"), USER, people)
    evidence = select_history(split.train, DATA, UserProfileConfig())

    async def write() -> tuple[pl.DataFrame, pl.DataFrame]:
        rules = RulesProvider()
        of_items = await profile_items(items, rules, ready_items.profiles if published else None)
        ready = ready_users.profiles if published else None
        of_users = await profile_users(people, evidence, items, of_items, rules, ready)
        return of_items, of_users

    item_profiles, user_profiles = asyncio.run(write())
    candidates = (
        Ease(DATA).fit(split.train, items[ITEM]).recommend(people, depth, exclude=split.train)
    )
    none = {VECTOR: pl.Array(pl.Float32, 2)}
    tables = RerankTables(
        candidates=candidates,
        history=split.train,
        items=items,
        item_profiles=item_profiles,
        user_profiles=user_profiles,
        user_vectors=pl.DataFrame(schema={USER: people.dtype, **none}),
        item_vectors=pl.DataFrame(schema={ITEM: items[ITEM].dtype, **none}),
    )
    return World(split=split, tables=tables, evidence=evidence, candidates=candidates)


def explained_world(
    *, users: int | None = None, published: bool = True, shared: Path = SHARED
) -> tuple[World, pl.DataFrame]:
    """A world and the reasons that the rules write for its lists, in the graph's order."""
    found = load(published=published, users=users, shared=shared)
    tables = found.tables
    judged, _ = asyncio.run(
        rerank(tables, provider=RulesProvider(), config=RerankConfig(strategy="none"), seed=0)
    )
    lists = fused_lists(found.candidates, judged, judged[USER].unique(), weight=0.0)
    reasons, _ = asyncio.run(
        explain(
            lists,
            history=found.split.train,
            items=tables.items,
            item_profiles=tables.item_profiles,
            user_profiles=tables.user_profiles,
            attributions=assumed(found.evidence, lists),
            liking=found.evidence[USER].unique(),
            provider=RulesProvider(),
            config=ExplanationConfig(),
            titles=20,
        )
    )
    return found, reasons
