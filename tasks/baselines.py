"""Step `baselines`: the lists that the graph model's are compared with."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CANDIDATES, ITEM, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.base import Recommender
from recsys_core.recommenders.ease import MAX_ITEMS, REGULARISATION
from recsys_core.recommenders.popularity import Popularity
from recsys_core.recommenders.tuning import tuned_ease
from tasks.runtime.references import BaselinesRef, ItemIdsRef, SplitRef, UserTableRef
from tasks.runtime.step import step


@step(
    "baselines",
    version="1",
    returns=BaselinesRef,
    rests_on=lambda _: {"grid": list(REGULARISATION)},
)
def baselines(
    out: ArtifactWriter,
    *,
    user_table: UserTableRef,
    item_ids: ItemIdsRef,
    split: SplitRef,
    ratings: RatingScale,
    k: int,
) -> None:
    """Rank the items for every user by popularity and by a tuned EASE.

    Args:
        out: a table per method, named after it (`columns.CANDIDATES`).
        user_table: all users.
        item_ids: all items.
        split: train, valid and test; only train and valid are looked at.
        ratings: thresholds.
        k: length of the lists.
    """
    train, valid = split.table("train"), split.table("valid")
    known = pl.concat([train, valid])
    items, users = item_ids.table("item_ids")[ITEM], user_table.table("users")[USER]
    methods: list[Recommender] = [Popularity(ratings).fit(known, items)]
    if items.len() <= MAX_ITEMS:
        ease = tuned_ease(train, valid, items, ratings)
        methods.append(ease.recommender)
        out.fact("ease_regularisation", ease.choice)
    else:
        out.fact("skipped", f"ease: {items.len():,} items, its matrix is made for {MAX_ITEMS:,}")
    for method in methods:
        out.table(method.name, method.recommend(users, k, exclude=known), CANDIDATES)
