"""The most popular items, of all times or lately, the same for everybody."""

from typing import Final, Self

import numpy as np
import polars as pl

from recsys_core.columns import TIMESTAMP
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.rating_matrix import Rows, Scores, Weights, with_users_of

WEEKS_GRID: Final = ({"weeks": 1}, {"weeks": 2}, {"weeks": 4}, {"weeks": 8})
_WEEK_S: Final = 7 * 86_400


class Popularity(MatrixRecommender):
    """Ranks items by the sum of their rating weights (liked 1, neutral 0.5, disliked 0)."""

    def _learn(self) -> None:
        self._popularity = _sums(self.weights)

    def _scores(self, rows: Rows) -> Scores:
        return np.broadcast_to(self._popularity, (rows.size, self._popularity.size))


class RecentPopularity(Popularity):
    """Ranks items by the sum of their rating weights in the last weeks of the training data.

    Items of equal sums follow their popularity of all times; so does everything where no times
    are known.
    """

    def __init__(self, config: RatingScale, *, weeks: int = 4) -> None:
        super().__init__(config)
        self._weeks = weeks

    def fit(self, train: pl.DataFrame, items: pl.Series) -> Self:
        """Learn from training interactions; see `Recommender.fit`."""
        super().fit(train, items)
        if TIMESTAMP in train.columns and train[TIMESTAMP].null_count() < train.height:
            since = pl.col(TIMESTAMP).max() - self._weeks * _WEEK_S
            recent = train.filter(pl.col(TIMESTAMP) > since)
            self._popularity = _sums(with_users_of(recent, self.weights, self.config))
        return self


def _sums(weights: Weights) -> Scores:
    found: Scores = np.asarray(weights.matrix.sum(axis=0)).ravel()
    return found
