"""Recommenders that score by the dot product of a user vector and an item vector."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.errors import TrainingError
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.rating_matrix import Rows, Scores

if TYPE_CHECKING:  # loaded when a recommender learns: commands name the methods without it
    from scipy import sparse

Vectors = npt.NDArray[np.floating]


class FactorRecommender(MatrixRecommender):
    """Learns vectors; a user without evidence has the zero vector, so popular items come first.

    Attributes:
        user_vectors: (n_users + 1, d), in the rows of `weights`.
        item_vectors: (n_items, d), in its columns.
    """

    user_vectors: Vectors
    item_vectors: Vectors

    def fold_in(self, shown: pl.DataFrame) -> Self:
        """The same item vectors, and a vector for each user of `shown`."""
        folded = super().fold_in(shown)
        folded._place(folded._fold(folded.weights.matrix))
        return folded

    @abstractmethod
    def _fold(self, matrix: "sparse.csr_matrix") -> Vectors:
        """Vectors (n, d) of users whom training did not see, from their weights (n, n_items)."""

    def _place(self, user_vectors: Vectors) -> None:
        if not (np.isfinite(user_vectors).all() and np.isfinite(self.item_vectors).all()):
            raise TrainingError(
                f"{self.name}: the vectors hold values that are not finite.",
                fix="lower the learning rate, or raise the regularisation.",
            )
        evidence = self.weights.matrix.getnnz(axis=1) > 0
        self.user_vectors = user_vectors * evidence[:, None]

    def _scores(self, rows: Rows) -> Scores:
        scores: Scores = self.user_vectors[rows] @ self.item_vectors.T
        return scores


def least_squares_users(
    matrix: "sparse.csr_matrix", item_vectors: Vectors, *, alpha: float, regularisation: float
) -> Vectors:
    """User vectors that fit the weights, with the item vectors held fixed.

    One half-step of weighted ALS (Hu, Koren and Volinsky 2008, eq. 4): for each user
    (Y'Y + Y'(C - I)Y + lambda I)^-1 Y'C p with p = 1 and C = alpha x weight where the weight is
    positive, p = 0 and C = 1 elsewhere (so, like `implicit`, without the 1 in 1 + alpha r).

    Args:
        matrix: weights (n, n_items).
        item_vectors: Y, (n_items, d).
        alpha: confidence of a weight of 1, above 0.
        regularisation: lambda, above 0.

    Returns:
        (n, d) float64.
    """
    from implicit.cpu.als import AlternatingLeastSquares

    items = np.ascontiguousarray(item_vectors, dtype=np.float64)
    model = AlternatingLeastSquares(
        factors=items.shape[1], alpha=alpha, regularization=regularisation, dtype=np.float64,
        num_threads=1,
    )  # fmt: skip
    model.item_factors = items
    users: Vectors = model.recalculate_user(np.arange(matrix.shape[0]), matrix)
    return users
