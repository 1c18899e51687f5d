"""The interface of every recommender, and the base of those that score every item at once."""

import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final, Protocol, Self

import numpy as np
import polars as pl

from recsys_core.columns import ITEM
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.topk import ranked_lists
from recsys_core.recommenders.rating_matrix import (
    Rows,
    Scores,
    Weights,
    ranked,
    weigh,
    with_users_of,
)

_CELLS: Final = 8_000_000
"""Scores held at once, users x items."""

logger = logging.getLogger(__name__)


class Recommender(Protocol):
    """Learns from interactions, then ranks items for users."""

    @property
    def name(self) -> str:
        """Name in the metrics table."""

    def fit(self, train: pl.DataFrame, items: pl.Series) -> Self:
        """Learn.

        Args:
            train: `columns.INTERACTIONS`, training rows only.
            items: ids of all items of the data set, also those without interactions.
        """

    def recommend(
        self, users: pl.Series, k: int, exclude: pl.DataFrame, among: pl.Series | None = None
    ) -> pl.DataFrame:
        """The best k items of each user, never one that `exclude` pairs with that user.

        Args:
            users: user ids, each once; also users that training did not see.
            k: length of a list; fewer where fewer items are left.
            exclude: user and item columns: what the users know already.
            among: ids of the only items that may be listed; None for all.

        Returns:
            `columns.CANDIDATES`, in the order of `users`, ranks 1, 2, 3, ... per user.
        """


class InductiveRecommender(Recommender, Protocol):
    """Also ranks for users who came after training, and among a part of the items."""

    def fold_in(self, shown: pl.DataFrame) -> Self:
        """The same model for new users: what it learned stays, the users are those of `shown`.

        Args:
            shown: `columns.INTERACTIONS`: all that is known of them. A user without a row (or
                with dislikes only) gets popular items.

        Returns:
            A copy; `self` goes on serving the users of training.
        """

    def recommend(
        self, users: pl.Series, k: int, exclude: pl.DataFrame, among: pl.Series | None = None
    ) -> pl.DataFrame:
        """The best k items of each user; `among` keeps only these items in the lists."""


class MatrixRecommender(ABC):
    """A recommender that scores every item for a block of users at once.

    Equal scores rank the more popular item first. So a user without evidence (unknown, or only
    dislikes) gets the popular items; the log counts such users.
    """

    name: str
    weights: Weights

    def __init__(self, config: RatingScale) -> None:
        self.config = config
        self.name = type(self).__name__

    def called(self, name: str) -> Self:
        """The same recommender under this name in the metrics table."""
        self.name = name
        return self

    def fit(self, train: pl.DataFrame, items: pl.Series) -> Self:
        """Learn from training interactions; see `Recommender.fit`."""
        self.weights = weigh(train, items, self.config)
        self._learn()
        return self

    def fold_in(self, shown: pl.DataFrame) -> Self:
        """The same model for the users of `shown`; see `InductiveRecommender.fold_in`."""
        folded = copy.copy(self)
        folded.weights = with_users_of(shown, self.weights, self.config)
        return folded

    def recommend(
        self, users: pl.Series, k: int, exclude: pl.DataFrame, among: pl.Series | None = None
    ) -> pl.DataFrame:
        """The best k items of each user; see `InductiveRecommender.recommend`."""
        rows = self.weights.rows(users)
        self._count_unknown(rows)
        seen = self.weights.pairs(users, exclude)
        barred = self.weights.columns_outside(among)
        items = self.weights.items[ITEM]
        lists = [ranked_lists(users.clear(), items, np.empty((0, 0), np.int64), np.empty((0, 0)))]
        for block in _blocks(users.len(), items.len()):
            best = ranked(self._scores(rows[block]), seen[block], k, barred=barred)
            lists.append(ranked_lists(users[block], items, *best))
        return pl.concat(lists)

    @abstractmethod
    def _learn(self) -> None:
        """Learn from `self.weights`."""

    @abstractmethod
    def _scores(self, rows: Rows) -> Scores:
        """Scores (n, n_items) of the users in these rows of the weights, (n,)."""

    def _count_unknown(self, rows: Rows) -> None:
        unknown = int((self.weights.matrix[rows].getnnz(axis=1) == 0).sum())
        if unknown:
            logger.info(
                "%s: users without evidence get popular items",
                self.name,
                extra={"method": self.name, "users_without_evidence": unknown},
            )


def _blocks(n_users: int, n_items: int) -> Iterator[slice]:
    step = max(1, _CELLS // max(n_items, 1))
    for start in range(0, n_users, step):
        yield slice(start, min(start + step, n_users))
