"""Step `baselines`: the lists that the graph model's are compared with."""

from dataclasses import replace

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CANDIDATES, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.methods import BASELINES, Builders, builders, grid_of
from recsys_core.recommenders.tuning import Tuned, tuned
from tasks.runtime.progress import progress
from tasks.runtime.references import BaselinesRef, ItemIdsRef, SplitRef, UsersRef
from tasks.runtime.step import step


@step(
    "baselines",
    version="8",
    returns=BaselinesRef,
    rests_on=lambda _: {
        "grid": {name: grid_of(name) for name, one in BASELINES.items() if one.in_every_run}
    },
    libraries=("implicit", "scipy"),
)
def baselines(
    out: ArtifactWriter,
    *,
    known_users: UsersRef,
    item_ids: ItemIdsRef,
    split: SplitRef,
    ratings: RatingScale,
    k: int,
) -> None:
    """Rank the items for every user by each baseline that every run measures.

    Args:
        out: a table per method, named after it (`columns.CANDIDATES`).
        known_users: all users.
        item_ids: all items.
        split: train, valid and test; only train and valid are looked at.
        ratings: thresholds.
        k: length of the lists.
    """
    items, users = item_ids.ids, known_users.table("users")[USER]
    for name, one in BASELINES.items():
        if not one.in_every_run:
            continue
        if one.max_items is not None and items.len() > one.max_items:
            told = f"{name}: {items.len():,} items, its matrix is made for {one.max_items:,}"
            out.fact("skipped", told)
            continue
        found = tuned_on(split, items, name, builders(name, ratings), ratings)
        if found.valid_ndcg:
            out.fact(f"{name}_choice", found.choice)
        lists = found.recommender.recommend(
            users, k, exclude=split.masked, among=item_ids.candidate_items
        )
        out.table(name, lists, CANDIDATES)


def tuned_on(
    split: SplitRef, items: pl.Series, name: str, candidates: Builders, ratings: RatingScale
) -> Tuned[MatrixRecommender]:
    """The candidate that validation prefers, fitted on what the split has models learn from.

    Args:
        split: says what is learned from, and what is shown of users.
        items: ids of all items.
        name: of the baseline.
        candidates: name -> makes an unfitted recommender.
        ratings: thresholds.
    """
    with progress(f"tuning {name}", len(candidates) + 1) as report:
        found = tuned(
            candidates, split.table("train"), split.table("valid"), items,
            learned=split.learned, like_from=ratings.like_from, on_fit=report,
        )  # fmt: skip
    if split.learns_from_valid:
        return found
    return replace(found, recommender=found.recommender.fold_in(split.shown))
