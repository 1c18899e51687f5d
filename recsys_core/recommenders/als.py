"""ALS: weighted matrix factorisation of implicit feedback, by the library `implicit`.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (ICDM 2008).
"""

from typing import TYPE_CHECKING, Final

from recsys_core.errors import ConfigError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.factor_model import FactorRecommender, Vectors, least_squares_users
from recsys_core.recommenders.rating_matrix import Weights

if TYPE_CHECKING:  # loaded when a recommender learns: commands name the methods without it
    from scipy import sparse

GRID: Final = (
    {"factors": 16, "alpha": 1.0, "regularisation": 10.0},
    {"factors": 32, "alpha": 1.0, "regularisation": 10.0},
    {"factors": 64, "alpha": 1.0, "regularisation": 10.0},
    {"factors": 32, "alpha": 4.0, "regularisation": 10.0},
)
"""The candidates that are tried on validation."""


class Als(FactorRecommender):
    """ALS on rating weights.

    Args:
        config: rating thresholds.
        factors: dimensions of a vector, at least 1.
        alpha: confidence of a weight of 1 (an item without a rating has 1), above 0.
        regularisation: lambda, above 0.
        iterations: passes over users and items.
        seed: of the first vectors.
    """

    def __init__(
        self,
        config: RatingScale,
        *,
        factors: int = 32,
        alpha: float = 2.0,
        regularisation: float = 10.0,
        iterations: int = 15,
        seed: int = 0,
    ) -> None:
        super().__init__(config)
        if factors < 1 or not min(alpha, regularisation) > 0:
            raise ConfigError(
                f"ALS: factors={factors}, alpha={alpha}, regularisation={regularisation}.",
                expected="at least one factor, the others above 0.",
            )
        self.factors, self.alpha, self.regularisation = factors, alpha, regularisation
        self.iterations, self.seed = iterations, seed

    def _learn(self) -> None:
        users, self.item_vectors = als_vectors(
            self.weights,
            factors=self.factors,
            alpha=self.alpha,
            regularisation=self.regularisation,
            iterations=self.iterations,
            seed=self.seed,
        )
        self._place(users)

    def _fold(self, matrix: "sparse.csr_matrix") -> Vectors:
        return least_squares_users(
            matrix, self.item_vectors, alpha=self.alpha, regularisation=self.regularisation
        )


def als_vectors(
    weights: Weights,
    *,
    factors: int,
    alpha: float,
    regularisation: float,
    iterations: int,
    seed: int,
) -> tuple[Vectors, Vectors]:
    """User vectors (n_users + 1, factors) and item vectors (n_items, factors), float32."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    # The library warns, rightly, where the BLAS inside its own loop has threads of its own.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors,
            alpha=alpha,
            regularization=regularisation,
            iterations=iterations,
            random_state=seed,
            num_threads=1,
        )
        model.fit(weights.matrix.astype("float32"), show_progress=False)
    return model.user_factors, model.item_factors
