"""The interface of every recommender, and what those with a score for every item share."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final, Protocol, Self

import polars as pl

from recsys_core.baselines.matrix import Rows, Scores, Weights, candidates, ranked, weigh
from recsys_core.columns import ITEM
from recsys_core.config import DataConfig

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

    def recommend(self, users: pl.Series, k: int, exclude: pl.DataFrame) -> pl.DataFrame:
        """The best k items of each user, never one that `exclude` pairs with that user.

        Args:
            users: user ids, each once; also users that training did not see.
            k: length of a list; fewer where fewer items are left.
            exclude: user and item columns: what the users know already.

        Returns:
            `columns.CANDIDATES`, in the order of `users`, ranks 1, 2, 3, ... per user.
        """


class MatrixRecommender(ABC):
    """A recommender that scores every item for a block of users at once.

    Equal scores rank the more popular item first. So a user without evidence (unknown, or only
    dislikes) gets the popular items; the log counts such users.
    """

    name: str
    weights: Weights

    def __init__(self, config: DataConfig) -> None:
        self.config = config

    def fit(self, train: pl.DataFrame, items: pl.Series) -> Self:
        """Learn from training interactions; see `Recommender.fit`."""
        self.weights = weigh(train, items, self.config)
        self._learn()
        return self

    def recommend(self, users: pl.Series, k: int, exclude: pl.DataFrame) -> pl.DataFrame:
        """The best k items of each user; see `Recommender.recommend`."""
        rows = self.weights.rows(users)
        self._count_unknown(rows)
        seen = self.weights.pairs(users, exclude)
        parts = []
        for block in _blocks(users.len(), self.weights.items.height):
            row, *rest = ranked(self._scores(rows[block]), seen[block], k)
            parts.append((row + block.start, *rest))
        return candidates(users, self.weights.items[ITEM], parts)

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
