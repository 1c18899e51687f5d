"""BPR: matrix factorisation that learns to put a liked item above another.

Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback" (UAI 2009).
"""

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from recsys_core.errors import ConfigError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.factor_model import FactorRecommender, Vectors, least_squares_users
from recsys_core.recommenders.lightgcn.config import LightGcnConfig

if TYPE_CHECKING:  # loaded when a recommender learns: commands name the methods without it
    from scipy import sparse

GRID: Final = (
    {"learning_rate": 0.02, "regularisation": 0.03},
    {"learning_rate": 0.02, "regularisation": 0.1},
    {"learning_rate": 0.05, "regularisation": 0.05},
    {"factors": 16, "iterations": 20, "negatives": "popular"},
)
"""The candidates that are tried on validation."""


class Bpr(FactorRecommender):
    """BPR on liked interactions; every other item may be a negative.

    Args:
        config: rating thresholds.
        factors: dimensions of a vector, at least 1.
        learning_rate: of stochastic gradient descent (`popular`) or Adam (`uniform`).
        regularisation: L2 penalty of the vectors.
        iterations: passes over the interactions (`popular`) or updates of 16,384 (`uniform`).
        negatives: `uniform` draws every item alike, as the paper does; `popular` is the library
            `implicit`, which draws them from the interactions, so popular items more often: its
            lists then say little about popularity, and score lower where that counts.
        seed: of the first vectors and of the samples.
    """

    def __init__(
        self,
        config: RatingScale,
        *,
        factors: int = 64,
        learning_rate: float = 0.02,
        regularisation: float = 0.01,
        iterations: int = 200,
        negatives: Literal["uniform", "popular"] = "uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(config)
        if factors < 1 or iterations < 1 or not learning_rate > 0 or not regularisation >= 0:
            raise ConfigError(
                f"BPR: factors={factors}, iterations={iterations}, learning_rate={learning_rate},"
                f" regularisation={regularisation}.",
                expected="at least one factor and iteration, a learning rate above 0, a"
                " regularisation of at least 0.",
            )
        self.factors, self.learning_rate = factors, learning_rate
        self.regularisation, self.iterations, self.seed = regularisation, iterations, seed
        self.negatives = negatives

    def _learn(self) -> None:
        liked = self.weights.liked()
        if not liked.nnz:  # there is nothing to sample; popular items then come first for all
            users, self.item_vectors = (np.zeros((n, 1)) for n in liked.shape)
        elif self.negatives == "uniform":
            users, self.item_vectors = self._uniform(liked)
        else:
            users, self.item_vectors = self._popular(liked)
        self._place(users)

    def _popular(self, liked: "sparse.csr_matrix") -> tuple[Vectors, Vectors]:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        model = BayesianPersonalizedRanking(
            factors=self.factors,
            learning_rate=self.learning_rate,
            regularization=self.regularisation,
            iterations=self.iterations,
            random_state=self.seed,
            num_threads=1,  # with more, updates race and no two runs agree
        )
        model.fit(liked.astype("float32"), show_progress=False)
        return model.user_factors, model.item_factors

    def _uniform(self, liked: "sparse.csr_matrix") -> tuple[Vectors, Vectors]:
        from recsys_core.recommenders.lightgcn.training import train

        settings = LightGcnConfig(
            dimensions=self.factors,
            layers=0,
            loss="bpr",
            steps=self.iterations,
            learning_rate=self.learning_rate,
            decay=self.regularisation,
            seed=self.seed,
        )
        trained = train("lightgcn", liked, settings)
        return trained.users, trained.items

    def _fold(self, matrix: "sparse.csr_matrix") -> Vectors:
        return least_squares_users(matrix, self.item_vectors, alpha=1.0, regularisation=1.0)
