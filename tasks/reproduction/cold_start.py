"""Step `cold_start`: one method under the cold-start protocols, for new users or new items."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Literal

import numpy as np
import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import ITEM, PER_USER, USER, VECTOR
from recsys_core.datasets.cold_start_splits import (
    SHOWN,
    ColdItems,
    ColdUsers,
    cold_items,
    cold_users,
)
from recsys_core.embedding.user_features import user_attribute_features
from recsys_core.evaluation.cold_start import judge_cold_items, judge_cold_users
from recsys_core.evaluation.protocols import Judgement
from recsys_core.graph.config import GraphConfig
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders import registry
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.cold_start import (
    rank_cold_items,
    rank_cold_users,
    tuned_for_cold_items,
    tuned_for_cold_users,
)
from recsys_core.recommenders.registry import Builders
from tasks.embed import FEATURES
from tasks.runtime.references import (
    ColdStartRef,
    EmbeddingsRef,
    InteractionsRef,
    ItemIdsRef,
    UserTableRef,
)
from tasks.runtime.step import HOUR, step
from tasks.runtime.vector_tables import vector_table

New = Literal["users", "items"]
ColdText = Literal["all", "facts", "none"]
"""What is known of an item: facts and profile (`embedding.features`); facts alone; nothing."""

GRAPH_TEXTS: Final[Mapping[str, ColdText]] = {
    "gat_best": "all", "gat_best_facts": "facts", "gat_best_no_llm": "none",
    "gat_best_no_attributes": "all",
}  # fmt: skip
METHODS: Final[Mapping[New, tuple[str, ...]]] = {
    "users": (
        "gat_best", "gat_best_facts", "gat_best_no_llm", "gat_best_no_attributes",
        "ease_popularity", "ease", "lightgcn", "item_knn", "als", "popularity",
    ),
    "items": ("gat_best", "gat_best_facts", "text_ridge", "text_popularity"),
}  # fmt: skip
"""Without a text there is nothing to tell new items apart by, so the other methods cannot."""
TEXT_BASELINES: Final = ("text_ridge", "text_popularity")
K: Final = 10


@step("cold_start", version="8", returns=ColdStartRef, timeout_seconds=6 * HOUR)
def cold_start(
    out: ArtifactWriter,
    *,
    interactions: InteractionsRef,
    user_table: UserTableRef,
    item_ids: ItemIdsRef,
    facts: EmbeddingsRef,
    profiles: EmbeddingsRef,
    new: New,
    method: str,
    graph: GraphConfig | None,
    ratings: RatingScale,
    seed: int,
) -> None:
    """Hold out users or items altogether, train on the rest, rank, measure.

    A new user has no profile: what it shows is all that is known of it, and to the graph model what
    the table of users tells.

    Args:
        out: table `per_user` (`columns.PER_USER`): every metric of every user at k = 10.
        interactions: all ratings.
        user_table: all users.
        item_ids: all items.
        facts: vectors of title, year and genres.
        profiles: features of the items, their profiles among them.
        new: who is held out.
        method: of `METHODS`.
        graph: the graph model; None for the other methods.
        ratings: thresholds.
        seed: of the draw and of the method.
    """
    items = item_ids.table("item_ids")[ITEM]
    texts = _texts(GRAPH_TEXTS.get(method, "all"), facts.table(FEATURES), profiles.table(FEATURES))
    builders = _builders(method, texts, user_table.table("users"), graph, ratings, seed)
    splits = _splits(interactions.table("interactions"), new, seed)
    choice, fitted = _fitted(builders, splits[0].train, items, ratings, seed, new)
    judged = [
        _judged(split, fitted, items, method, ratings)
        for split in splits
        if isinstance(split, ColdItems) or split.users.len()
    ]
    out.table("per_user", pl.concat([user_table(one, K) for one in judged]), PER_USER)
    out.fact("choice", choice)


def _texts(text: ColdText, facts: pl.DataFrame, profiles: pl.DataFrame) -> pl.DataFrame:
    if text != "none":
        return profiles if text == "all" else facts
    zeros = np.zeros_like(facts[VECTOR].to_numpy(), dtype=np.float32)
    return vector_table(facts[ITEM], zeros)


def _builders(
    method: str,
    texts: pl.DataFrame,
    users: pl.DataFrame,
    graph: GraphConfig | None,
    ratings: RatingScale,
    seed: int,
) -> Builders:
    if graph is None:
        known = registry.baselines(ratings, seed=seed)
        known |= registry.text_baselines(ratings, texts, seed=seed)
        return registry.select(known, [method])[method]
    from recsys_core.graph.recommender import GraphRecommender

    attributes = user_attribute_features(users)
    build = partial(
        GraphRecommender, ratings, graph, texts, seed=seed, name=method,
        attributes=vector_table(users[USER], attributes) if attributes.shape[1] else None,
    )  # fmt: skip
    return {"-": build}


def _splits(
    interactions: pl.DataFrame, new: New, seed: int
) -> Sequence[ColdUsers] | Sequence[ColdItems]:
    """All with the same training rows, so that one model serves every n of `cold_user(n)`."""
    if new == "users":
        return [cold_users(interactions, n, seed) for n in SHOWN]
    return [cold_items(interactions, seed)]


def _judged(
    split: ColdUsers | ColdItems,
    fitted: MatrixRecommender,
    items: pl.Series,
    method: str,
    ratings: RatingScale,
) -> Judgement:
    if isinstance(split, ColdUsers):
        return judge_cold_users(
            rank_cold_users(fitted, split, K), split, method=method, cutoffs=(K,),
            like_from=ratings.like_from, items=items,
        )  # fmt: skip
    return judge_cold_items(
        rank_cold_items(fitted, split, K), split, method=method, cutoffs=(K,),
        like_from=ratings.like_from,
    )  # fmt: skip


def _fitted(
    builders: Builders,
    train: pl.DataFrame,
    items: pl.Series,
    ratings: RatingScale,
    seed: int,
    new: New,
) -> tuple[str, MatrixRecommender]:
    if len(builders) == 1:  # nothing to choose, so nothing to measure
        ((choice, build),) = builders.items()
        return choice, build().fit(train, items)
    tuned = tuned_for_cold_users if new == "users" else tuned_for_cold_items
    found = tuned(builders, train, items, like_from=ratings.like_from, seed=seed)
    return found.choice, found.recommender
