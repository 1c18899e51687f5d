"""EASE: a linear item-to-item model with a closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019): X B with the B that
minimises |X - X B|^2 + lambda |B|^2 under diag(B) = 0. With P = (X'X + lambda I)^-1 that is
B = I - P / diag(P), column by column.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from recsys_core.errors import ConfigError, TrainingError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.rating_matrix import Rows, Scores

if TYPE_CHECKING:  # loaded when a recommender learns: commands name the methods without it
    from scipy import sparse

Floats = npt.NDArray[np.float32]

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
"""B is dense: 20,000 items need 1.6 GB for it, and up to twice that again to compute it."""


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
        matrix = self.weights.matrix.astype(np.float32)
        popularity = np.asarray(matrix.sum(axis=0)).ravel()
        self._prior = self.prior * popularity / max(popularity.max(initial=0.0), np.float32(1))
        if matrix.shape[1] > MAX_ITEMS:
            raise ConfigError(
                f"EASE: {matrix.shape[1]} items need a dense matrix of their square.",
                expected=f"at most {MAX_ITEMS} items.",
                fix="leave EASE out of the baselines for this data set.",
            )
        self._item_to_item = regression(gram_of(matrix), self.regularisation)

    def _scores(self, rows: Rows) -> Scores:
        known = self.weights.matrix[rows].astype(np.float32)
        scores: Scores = known @ self._item_to_item + self._prior
        return scores


def regression(gram: Floats, strength: float) -> Floats:
    """B (n_items, n_items) of EASE for a Gram matrix in Fortran order, which is overwritten.

    Its diagonal is zero.
    """
    found = inverse_of(gram, strength)
    found /= -np.diag(found)
    np.fill_diagonal(found, 0.0)
    return found


def gram_of(rows: "sparse.csr_matrix") -> Floats:
    """(n_items, n_items) how often the columns of float32 rows go together, in Fortran order."""
    return np.asfortranarray((rows.T @ rows).toarray())


def inverse_of(gram: Floats, strength: float) -> Floats:
    """(gram + strength I)^-1 by Cholesky (LAPACK spotrf, spotri), in the memory of `gram`.

    Args:
        gram: (n, n) symmetric, in Fortran order; overwritten.
        strength: added to the diagonal.

    Raises:
        TrainingError: the matrix is not positive definite.
    """
    from scipy.linalg import lapack

    gram[np.diag_indices_from(gram)] += np.float32(strength)
    factor, failed = lapack.spotrf(gram, lower=0, overwrite_a=1, clean=0)
    if failed:
        raise TrainingError(
            f"EASE: the Gram matrix is not positive definite in float32 (lambda {strength:g}).",
            fix="raise the regularisation.",
        )
    inverse: Floats = lapack.spotri(factor, lower=0, overwrite_c=1)[0]
    _mirror(inverse)
    return inverse


def _mirror(upper: Floats, block: int = 512) -> None:
    """Copy the upper triangle to the lower one, block by block, so that both stay in the cache."""
    for start in range(0, len(upper), block):
        place = slice(start, start + block)
        upper[start + block :, place] = upper[place, start + block :].T
        corner = upper[place, place]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
