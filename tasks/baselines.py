"""Baselines: the lists that ours are compared with."""

import polars as pl

from recsys_core.artifacts import ArtifactRef, ArtifactWriter
from recsys_core.baselines.popularity import Popularity
from recsys_core.baselines.tuning import tuned_ease
from recsys_core.columns import CANDIDATES, ITEM, USER
from recsys_core.config import DataConfig
from tasks.step import step


@step("baselines", version="1")
def baselines(
    out: ArtifactWriter, data: ArtifactRef, split: ArtifactRef, config: DataConfig, k: int
) -> None:
    """Rank the items for every user by popularity and by a tuned EASE.

    Args:
        out: a table per method, named after it (`columns.CANDIDATES`).
        data: the ingested data set.
        split: train, valid and test; only train and valid are looked at.
        config: rating thresholds.
        k: length of the lists.
    """
    train, valid = split.table("train"), split.table("valid")
    known = pl.concat([train, valid])
    items, users = data.table("items")[ITEM], data.table("users")[USER]
    ease = tuned_ease(train, valid, items, config)
    for method in (Popularity(config).fit(known, items), ease.recommender):
        out.table(method.name, method.recommend(users, k, exclude=known), CANDIDATES)
    out.fact("ease_regularisation", ease.choice)
