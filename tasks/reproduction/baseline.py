"""Step `baseline`: the lists of one tuned baseline on one fold."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CANDIDATES, ITEM, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders import registry
from recsys_core.recommenders.tuning import tuned
from tasks.runtime.references import ItemIdsRef, ListsRef, SplitRef, UserTableRef
from tasks.runtime.step import HOUR, step


def _grid(inputs: Mapping[str, Any]) -> Mapping[str, object]:
    known = registry.baselines(inputs["ratings"])
    return {"grid": list(registry.select(known, [inputs["method"]])[inputs["method"]])}


@step(
    "baseline",
    version="1",
    returns=ListsRef,
    timeout_seconds=6 * HOUR,
    rests_on=_grid,
)
def baseline(
    out: ArtifactWriter,
    *,
    user_table: UserTableRef,
    item_ids: ItemIdsRef,
    split: SplitRef,
    method: str,
    ratings: RatingScale,
    k: int,
    seed: int,
) -> None:
    """Choose among a baseline's hyperparameters on validation, refit the best, rank.

    Args:
        out: table `candidates` (`columns.CANDIDATES`).
        user_table: all users.
        item_ids: all items.
        split: train and valid; test is not looked at.
        method: name in `recommenders.registry`.
        ratings: thresholds.
        k: length of the lists.
        seed: of the methods that draw.
    """
    train, valid = split.table("train"), split.table("valid")
    builders = registry.select(registry.baselines(ratings, seed=seed), [method])[method]
    found = tuned(
        builders, train, valid, item_ids.table("item_ids")[ITEM], like_from=ratings.like_from
    )
    known = pl.concat([train, valid])
    lists = found.recommender.recommend(user_table.table("users")[USER], k, exclude=known)
    out.table("candidates", lists, CANDIDATES)
    out.fact("choice", found.choice)
    out.fact("valid_ndcg", found.valid_ndcg)
