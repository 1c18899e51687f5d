"""EASE: a linear item-to-item model with a closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019): X B with the B that
minimises |X - X B|^2 + lambda |B|^2 under diag(B) = 0. With P = (X'X + lambda I)^-1 that is
B = I - P / diag(P), column by column.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from recsys_core.errors import ConfigError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.rating_matrix import Rows, Scores

if TYPE_CHECKING:  # loaded when a recommender learns: commands name the methods without it
    from scipy import sparse

Doubles = npt.NDArray[np.float64]

GRID: Final = tuple({"regularisation": value} for value in (100.0, 10.0, 30.0, 200.0, 500.0))
"""The candidates that are tried on validation: sparse data want the small ones. The first is taken
where validation can tell nothing."""
PRIOR_GRID: Final = (
    {"regularisation": 200.0, "prior": 0.05},
    {"regularisation": 300.0, "prior": 0.05},
    {"regularisation": 200.0, "prior": 0.1},
    {"regularisation": 300.0, "prior": 0.1},
)
"""The candidates with a popularity prior."""
MAX_ITEMS: Final = 20_000
"""B is dense: 20,000 items need 3.2 GB for it and as much again to compute it."""


class Ease(MatrixRecommender):
    """EASE on rating weights (liked 1, neutral 0.5, disliked 0).

    Args:
        config: rating thresholds.
        regularisation: lambda, above 0.
        prior: what an item's popularity, as a share of that of the most popular item, adds to
            its score. It carries users with few ratings, whose own scores are small.
    """

    def __init__(
        self, config: RatingScale, *, regularisation: float = 300.0, prior: float = 0.0
    ) -> None:
        super().__init__(config)
        if not regularisation > 0 or not prior >= 0:
            raise ConfigError(
                f"EASE: regularisation={regularisation}, prior={prior}.",
                expected="a regularisation above 0 and a prior of 0 or more.",
            )
        self.regularisation, self.prior = regularisation, prior

    def _learn(self) -> None:
        matrix = self.weights.matrix
        popularity = np.asarray(matrix.sum(axis=0)).ravel()
        self._prior = self.prior * popularity / max(popularity.max(initial=0.0), 1.0)
        if matrix.shape[1] > MAX_ITEMS:
            raise ConfigError(
                f"EASE: {matrix.shape[1]} items need a dense matrix of their square.",
                expected=f"at most {MAX_ITEMS} items.",
                fix="leave EASE out of the baselines for this data set.",
            )
        self._item_to_item = regression(gram_matrix(matrix, self.regularisation))

    def _scores(self, rows: Rows) -> Scores:
        scores: Scores = self.weights.matrix[rows] @ self._item_to_item + self._prior
        return scores


def gram_matrix(matrix: "sparse.csr_matrix", regularisation: float) -> Doubles:
    """How often weights (n_users, n_items) go together, lambda added to the diagonal."""
    gram: Doubles = (matrix.T @ matrix).toarray()
    gram[np.diag_indices_from(gram)] += regularisation
    return gram


def regression(gram: Doubles) -> Doubles:
    """B (n_items, n_items) of EASE for a regularised Gram matrix, which is overwritten.

    Its diagonal is zero.
    """
    from scipy import linalg

    inverse: Doubles = linalg.inv(gram, overwrite_a=True, check_finite=False, assume_a="pos")
    inverse /= -np.diag(inverse)
    np.fill_diagonal(inverse, 0.0)
    return inverse
