"""Lists for users and items that training never saw, and tuning for these protocols.

Hyperparameters are tuned on a cold-start split of the training part, made like the real one: its
held-out users or items are others than those of the test.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np
import polars as pl

from recsys_core.columns import USER
from recsys_core.datasets.cold_start_splits import (
    SHOWN,
    ColdItems,
    ColdUsers,
    cold_items,
    cold_users,
)
from recsys_core.evaluation.cold_start import judge_cold_items, judge_cold_users
from recsys_core.evaluation.metrics import NDCG
from recsys_core.evaluation.protocols import Judgement
from recsys_core.evaluation.significance import means
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.tuning import Tuned, choose

_INNER: Final = 3
"""Inner splits per choice for `cold_item`."""

R = TypeVar("R", bound=MatrixRecommender)


def rank_cold_users(recommender: MatrixRecommender, split: ColdUsers, k: int) -> pl.DataFrame:
    """Lists of the held-out users, from what they show (`columns.CANDIDATES`)."""
    folded = recommender.fold_in(split.shown)
    return folded.recommend(split.users, k, exclude=split.shown)


def rank_cold_items(recommender: MatrixRecommender, split: ColdItems, k: int) -> pl.DataFrame:
    """Lists of held-out items for every user who rated one of them (`columns.CANDIDATES`)."""
    users = split.test[USER].unique().sort()
    return recommender.recommend(users, k, exclude=split.train.clear(), among=split.items)


def tuned_for_cold_users(
    builders: Mapping[str, Callable[[], R]],
    train: pl.DataFrame,
    items: pl.Series,
    *,
    like_from: float,
    seed: int,
    shown: Sequence[int] = SHOWN,
    k: int = 10,
) -> Tuned[R]:
    """Keep the candidate with the best mean NDCG@k over the n of `cold_user(n)`; fit it on train.

    Args:
        builders: name -> makes an unfitted recommender.
        train: training interactions of a `cold_user` split; a fifth of its users is held out.
        items: ids of all items of the data set.
        like_from: lowest rating that counts as relevant.
        seed: of the inner split.
        shown: the n, one model for all of them.
        k: cut-off.
    """
    inner = [cold_users(train, n, seed) for n in shown]

    def reached(recommender: R) -> float:
        fitted = recommender.fit(inner[0].train, items)
        results = [
            _ndcg(
                judge_cold_users(
                    rank_cold_users(fitted, split, k), split, method=fitted.name,
                    cutoffs=(k,), like_from=like_from,
                )
            )
            for split in inner
        ]  # fmt: skip
        return float(np.mean(results))

    return choose(builders, reached, lambda recommender: recommender.fit(train, items))


def tuned_for_cold_items(
    builders: Mapping[str, Callable[[], R]],
    train: pl.DataFrame,
    items: pl.Series,
    *,
    like_from: float,
    seed: int,
    k: int = 10,
) -> Tuned[R]:
    """Keep the candidate with the best mean NDCG@k on `cold_item` inside train; fit it on train.

    One tenth of the items says little about a candidate, so several tenths are held out in turn.

    Args:
        builders: name -> makes an unfitted recommender.
        train: training interactions of a `cold_item` split; tenths of its items are held out.
        items: ids of all items of the data set.
        like_from: lowest rating that counts as relevant.
        seed: of the inner splits.
        k: cut-off.
    """
    inner = [cold_items(train, _INNER * seed + number) for number in range(_INNER)]

    def once(recommender: R, split: ColdItems) -> float:
        lists = rank_cold_items(recommender.fit(split.train, items), split, k)
        judged = judge_cold_items(
            lists, split, method=recommender.name, cutoffs=(k,), like_from=like_from
        )
        return _ndcg(judged)

    def reached(recommender: R) -> float:
        return float(np.mean([once(recommender, split) for split in inner]))

    return choose(builders, reached, lambda recommender: recommender.fit(train, items))


def _ndcg(judged: Judgement) -> float:
    return float(means(judged.values[NDCG])[0][0])
