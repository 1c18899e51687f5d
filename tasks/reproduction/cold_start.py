"""Step `cold_start`: one method under the cold-start protocols, for new users or new items."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import ITEM, PER_USER, USER, VECTOR
from recsys_core.config.reproduction_methods import VARIANTS, Text
from recsys_core.datasets.cold_start_splits import (
    SHOWN,
    ColdItems,
    ColdUsers,
    cold_items,
    cold_users,
)
from recsys_core.embedding.user_features import user_attribute_features
from recsys_core.evaluation.cold_start import judge_cold_items, judge_cold_users
from recsys_core.evaluation.cross_validation import user_table
from recsys_core.evaluation.protocols import Judgement
from recsys_core.graph.config import GraphConfig
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import vector_table
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.cold_start_tuning import (
    rank_cold_items,
    rank_cold_users,
    tuned_for_cold_items,
    tuned_for_cold_users,
)
from recsys_core.recommenders.methods import BASELINES, Builders, Held, builders, grid_of
from tasks.embed import FEATURES
from tasks.runtime.references import (
    ColdStartRef,
    EmbeddingsRef,
    InteractionsRef,
    ItemIdsRef,
    UsersRef,
)
from tasks.runtime.step import HOUR, step

K: Final = 10


def _rests_on(inputs: Mapping[str, Any]) -> Mapping[str, object]:
    method = inputs["method"]
    return {"grid": grid_of(method)} if method in BASELINES else {"text": VARIANTS[method].text}


@step(
    "cold_start",
    version="41",
    returns=ColdStartRef,
    timeout_seconds=6 * HOUR,
    rests_on=_rests_on,
    libraries=("implicit", "scikit-learn", "scipy"),
)
def cold_start(
    out: ArtifactWriter,
    *,
    interactions: InteractionsRef,
    known_users: UsersRef,
    item_ids: ItemIdsRef,
    facts: EmbeddingsRef,
    profiles: EmbeddingsRef,
    new: Held,
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
        known_users: all users.
        item_ids: all items.
        facts: vectors of title, year and genres.
        profiles: features of the items, their profiles among them.
        new: who is held out.
        method: of those that `config.reproduction_methods.cold_start` names.
        graph: the graph model; None for the other methods.
        ratings: thresholds.
        seed: of the draw and of the method.
    """
    items = item_ids.table("item_ids")[ITEM]
    text = VARIANTS[method].text if method in VARIANTS else "unified"
    texts = _texts(text, facts.table(FEATURES), profiles.table(FEATURES))
    candidates = _candidates(method, texts, known_users.table("users"), graph, ratings, seed)
    splits = _splits(interactions.table("interactions"), new, seed)
    choice, fitted = _fitted(candidates, splits[0].train, items, ratings, seed, new)
    judged = [
        _judged(split, fitted, items, method, ratings)
        for split in splits
        if isinstance(split, ColdItems) or split.users.len()
    ]
    out.table("per_user", pl.concat([user_table(one, K) for one in judged]), PER_USER)
    out.fact("choice", choice)


def _texts(text: Text, facts: pl.DataFrame, profiles: pl.DataFrame) -> pl.DataFrame:
    """What is known of an item: facts and profile, facts alone, or nothing (zeros)."""
    if text != "none":
        return profiles if text == "unified" else facts
    zeros = np.zeros_like(facts[VECTOR].to_numpy(), dtype=np.float32)
    return vector_table(facts[ITEM], zeros)


def _candidates(
    method: str,
    texts: pl.DataFrame,
    users: pl.DataFrame,
    graph: GraphConfig | None,
    ratings: RatingScale,
    seed: int,
) -> Builders:
    if graph is None:
        return builders(method, ratings, seed=seed, texts=texts)
    from recsys_core.graph.recommender import GraphRecommender

    attributes = user_attribute_features(users)
    build = partial(
        GraphRecommender, ratings, graph, texts, seed=seed, name=method,
        attributes=vector_table(users[USER], attributes) if attributes.shape[1] else None,
    )  # fmt: skip
    return {"-": build}


def _splits(
    interactions: pl.DataFrame, new: Held, seed: int
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
    candidates: Builders,
    train: pl.DataFrame,
    items: pl.Series,
    ratings: RatingScale,
    seed: int,
    new: Held,
) -> tuple[str, MatrixRecommender]:
    tuned = tuned_for_cold_users if new == "users" else tuned_for_cold_items
    found = tuned(candidates, train, items, like_from=ratings.like_from, seed=seed)
    return found.choice, found.recommender
