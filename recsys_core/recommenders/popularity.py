"""The most popular items, the same for everybody."""

import numpy as np

from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.rating_matrix import Rows, Scores


class Popularity(MatrixRecommender):
    """Ranks items by the sum of their rating weights (liked 1, neutral 0.5, disliked 0)."""

    def _learn(self) -> None:
        self._popularity = np.asarray(self.weights.matrix.sum(axis=0)).ravel()

    def _scores(self, rows: Rows) -> Scores:
        return np.broadcast_to(self._popularity, (rows.size, self._popularity.size))
