"""Item-kNN: an item is scored by its similarity to the items of the user.

Deshpande and Karypis, "Item-based top-N recommendation algorithms" (TOIS 2004); the neighbours
are found by `implicit`.
"""

from typing import Final

import numpy as np

from recsys_core.errors import ConfigError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.rating_matrix import Rows, Scores

GRID: Final = (
    {"neighbours": 100, "normalisation": 0.8},
    {"neighbours": 200, "normalisation": 0.8},
    {"neighbours": 200, "normalisation": 0.6},
    {"neighbours": 200, "normalisation": 1.0},
)
"""The candidates that are tried on validation."""


class ItemKNN(MatrixRecommender):
    """The most similar items of each item, on rating weights.

    With x_i the users' weights of item i: similarity = x_i . x_j / (|x_i| |x_j|)^normalisation.
    1 is the cosine; less of it prefers items that many users like.

    Args:
        config: rating thresholds.
        neighbours: items kept per item, at least 1.
        normalisation: exponent of the lengths, 0 to 1.
    """

    def __init__(
        self, config: RatingScale, *, neighbours: int = 200, normalisation: float = 0.7
    ) -> None:
        super().__init__(config)
        if neighbours < 1 or not 0 <= normalisation <= 1:
            raise ConfigError(
                f"item-kNN: neighbours={neighbours}, normalisation={normalisation}.",
                expected="at least 1 neighbour, a normalisation of 0 to 1.",
            )
        self.neighbours, self.normalisation = neighbours, normalisation

    def _learn(self) -> None:
        from implicit.nearest_neighbours import ItemItemRecommender
        from scipy import sparse

        matrix = self.weights.matrix
        length = np.sqrt(np.asarray(matrix.power(2).sum(axis=0)).ravel())
        scale = np.divide(1.0, length**self.normalisation, where=length > 0, out=length)
        model = ItemItemRecommender(K=self.neighbours, num_threads=1)
        model.fit((matrix @ sparse.diags(scale)).tocsr(), show_progress=False)
        # Row j holds j's neighbours: a user's items vote for those, each in its own row.
        self._similarity = model.similarity.T.tocsr()

    def _scores(self, rows: Rows) -> Scores:
        scores: Scores = (self.weights.matrix[rows] @ self._similarity).toarray()
        return scores
