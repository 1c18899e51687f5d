"""The recommenders LightGCN and NGCF: vectors learned on the user-item graph.

`networks` holds the layers, `ranking_losses` the losses, `training` the loop; all three import
PyTorch, this module does not.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.factor_model import FactorRecommender, Vectors
from recsys_core.recommenders.lightgcn.config import LightGcnConfig

if TYPE_CHECKING:
    from scipy import sparse

    from recsys_core.recommenders.lightgcn.training import TrainedGraph

LIGHTGCN_GRID: Final = (
    {"learning_rate": 0.03, "steps": 60},
    {"learning_rate": 0.03, "steps": 120},
    {"learning_rate": 0.03, "steps": 120, "temperature": 0.17},
    {"learning_rate": 0.03, "steps": 120, "temperature": 0.23},
)
"""The candidates that are tried on validation."""
LIGHTGCN_BPR: Final = {"loss": "bpr", "weighted": False, "dimensions": 64}
"""As in the paper of LightGCN."""
LIGHTGCN_BPR_GRID: Final = (
    {"learning_rate": 0.02, "steps": 150},
    {"learning_rate": 0.02, "steps": 250},
    {"learning_rate": 0.01, "steps": 250},
    {"learning_rate": 0.02, "steps": 250, "decay": 0.01},
)
NGCF: Final = {"dimensions": 64}
NGCF_GRID: Final = (
    {"learning_rate": 0.01, "steps": 60},
    {"learning_rate": 0.01, "steps": 100},
    {"learning_rate": 0.02, "steps": 60},
    {"learning_rate": 0.01, "steps": 150, "loss": "bpr", "weighted": False},
)


class GraphConvolution(FactorRecommender):
    """A network over users and items with learned vectors, none of it from text.

    A new user has no learned vector: the fold-in starts from zero and sends the trained items'
    vectors of each round along the user's own edges.

    Args:
        config: rating thresholds.
        settings: fields of `LightGcnConfig`: sizes, loss and optimiser.
    """

    network: ClassVar[str]
    _trained: "TrainedGraph | None"

    def __init__(self, config: RatingScale, **settings: Any) -> None:
        super().__init__(config)
        self.settings = LightGcnConfig(**settings)

    def _learn(self) -> None:
        graph = self._graph(self.weights.matrix)
        if not graph.nnz:  # nothing to learn from: popular items for all
            self._trained = None
            self.item_vectors = np.zeros((graph.shape[1], 1))
            self._place(np.zeros((graph.shape[0], 1)))
            return
        from recsys_core.recommenders.lightgcn.training import train

        self._trained = train(self.network, graph, self.settings)
        self.item_vectors = self._trained.items
        self._place(self._trained.users)

    def _fold(self, matrix: "sparse.csr_matrix") -> Vectors:
        if self._trained is None:
            return np.zeros((matrix.shape[0], 1))
        return self._trained.fold(self._graph(matrix))

    def _graph(self, matrix: "sparse.csr_matrix") -> "sparse.csr_matrix":
        return matrix if self.settings.weighted else matrix.multiply(matrix >= 1.0).tocsr()


class LightGcn(GraphConvolution):
    """LightGCN (He et al., SIGIR 2020)."""

    network = "lightgcn"


class Ngcf(GraphConvolution):
    """NGCF (Wang et al., SIGIR 2019)."""

    network = "ngcf"
