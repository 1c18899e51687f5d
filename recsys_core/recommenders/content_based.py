"""Content-based recommenders for cold-start items.

Both learn a ridge regression from text vectors to a target that the interactions give for the
items that have some, and predict it for those that have none.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import ITEM
from recsys_core.errors import ConfigError, DataError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import aligned
from recsys_core.recommenders.als import als_vectors
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.factor_model import FactorRecommender, Vectors, least_squares_users
from recsys_core.recommenders.rating_matrix import Rows, Scores

if TYPE_CHECKING:  # loaded when a recommender learns: commands name the methods without it
    from scipy import sparse

Floats = npt.NDArray[np.float64]

GRID: Final = tuple({"penalty": value} for value in (3.0, 10.0, 30.0, 100.0))
"""The candidates that are tried on validation."""


class TextPopularity(MatrixRecommender):
    """Popularity, predicted from the text where an item has no interactions.

    The regression is on log(1 + popularity): popularity itself is far too skewed for a line.

    Args:
        config: rating thresholds.
        texts: item and vector of every item.
        penalty: of the ridge, above 0.
    """

    def __init__(self, config: RatingScale, texts: pl.DataFrame, *, penalty: float = 10.0) -> None:
        super().__init__(config)
        self.texts, self.penalty = texts, _checked(penalty)

    def _learn(self) -> None:
        popularity = np.asarray(self.weights.matrix.sum(axis=0)).ravel()
        features = text_features(self.texts, self.weights.items[ITEM])
        known = popularity > 0
        target = np.log1p(popularity)[:, None]
        self._popularity = np.expm1(completed(features, target, known, self.penalty)).ravel()

    def _scores(self, rows: Rows) -> Scores:
        return np.broadcast_to(self._popularity, (rows.size, self._popularity.size))


class TextRidge(FactorRecommender):
    """ALS vectors; an item without interactions gets the vector that its text predicts.

    Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations" (ICDM
    2010), with ridge regression as the map.

    Args:
        config: rating thresholds.
        texts: item and vector of every item.
        factors: dimensions of the ALS vectors.
        alpha: confidence of a weight of 1 in ALS.
        regularisation: lambda of ALS.
        penalty: of the ridge, above 0.
        iterations: of ALS.
        seed: of ALS.
    """

    def __init__(
        self,
        config: RatingScale,
        texts: pl.DataFrame,
        *,
        factors: int = 64,
        alpha: float = 1.0,
        regularisation: float = 10.0,
        penalty: float = 10.0,
        iterations: int = 15,
        seed: int = 0,
    ) -> None:
        super().__init__(config)
        self.texts, self.penalty = texts, _checked(penalty)
        self.factors, self.alpha, self.regularisation = factors, alpha, regularisation
        self.iterations, self.seed = iterations, seed

    def _learn(self) -> None:
        users, items = als_vectors(
            self.weights,
            factors=self.factors,
            alpha=self.alpha,
            regularisation=self.regularisation,
            iterations=self.iterations,
            seed=self.seed,
        )
        features = text_features(self.texts, self.weights.items[ITEM])
        known = self.weights.matrix.getnnz(axis=0) > 0
        self.item_vectors = completed(features, items.astype(np.float64), known, self.penalty)
        self._known = known
        self._place(users)

    def _fold(self, matrix: "sparse.csr_matrix") -> Vectors:
        # The gram matrix of ALS counts items that had interactions, not the predicted ones.
        return least_squares_users(
            matrix,
            self.item_vectors * self._known[:, None],
            alpha=self.alpha,
            regularisation=self.regularisation,
        )


def text_features(texts: pl.DataFrame, items: pl.Series) -> Floats:
    """Vectors of these items, (n_items, d), centred on their mean; see `text_vectors`."""
    vectors = text_vectors(texts, items)
    centred: Floats = vectors - vectors.mean(axis=0)
    return centred


def text_vectors(texts: pl.DataFrame, items: pl.Series) -> Floats:
    """Vectors of these items, (n_items, d), in their order.

    Raises:
        DataError: an item has no vector.
    """
    missing = items.filter(~items.is_in(texts[ITEM].implode()))
    if missing.len():
        raise DataError(
            f"{missing.len()} items have no text vector ({missing[0]!r}).",
            expected="a vector for every item of the data set.",
            fix="embed all items.",
        )
    return aligned(texts, items).astype(np.float64)


def completed(
    features: Floats, target: Floats, known: npt.NDArray[np.bool_], penalty: float
) -> Floats:
    """The target where it is known, elsewhere what a ridge regression on features predicts.

    Args:
        features: (n, d).
        target: (n, m).
        known: (n,) rows that the regression learns from.
        penalty: lambda, above 0; the intercept goes free.

    Returns:
        (n, m); zeros where nothing is known at all.
    """
    if not known.any():
        return np.zeros_like(target)
    slopes, intercept = ridge(features[known], target[known], penalty)
    return np.where(known[:, None], target, features @ slopes + intercept)


def ridge(features: Floats, target: Floats, penalty: float) -> tuple[Floats, Floats]:
    """Slopes (d, m) and intercept (m,) that predict targets (n, m) from features (n, d).

    `penalty`, above 0, is on the slopes; the intercept goes free.
    """
    from sklearn.linear_model import Ridge

    found = Ridge(alpha=penalty, solver="cholesky").fit(features, target)
    # With one target the library drops its axis.
    slopes: Floats = found.coef_.reshape(target.shape[1], features.shape[1]).T
    return slopes, np.reshape(found.intercept_, target.shape[1])


def _checked(penalty: float) -> float:
    if not penalty > 0:
        raise ConfigError(f"Ridge: penalty is {penalty}.", expected="a number above 0.")
    return penalty
