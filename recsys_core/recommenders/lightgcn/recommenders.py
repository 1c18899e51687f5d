"""LightGCN and NGCF: vectors learned on the user-item graph.

`networks` says what they compute, `training` how they learn; both import PyTorch, this does not.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.factor_model import FactorRecommender, Vectors
from recsys_core.recommenders.lightgcn.config import GraphSettings

if TYPE_CHECKING:
    from recsys_core.recommenders.lightgcn.training import TrainedGraph


class CollaborativeGraph(FactorRecommender):
    """A network over users and items with learned vectors, none of it from text.

    A new user has no learned vector: the fold-in starts from zero and sends the trained items'
    vectors of each round along the user's own edges.

    Args:
        config: rating thresholds.
        settings: sizes, loss and optimiser.
        name: for the metrics table, where it differs from the network's own.
    """

    network: str
    _trained: "TrainedGraph | None"

    def __init__(
        self, config: RatingScale, settings: GraphSettings | None = None, *, name: str | None = None
    ) -> None:
        super().__init__(config)
        self.settings = settings or GraphSettings()
        self.name = name or self.network

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

    def _fold(self, matrix: sparse.csr_matrix) -> Vectors:
        if self._trained is None:
            return np.zeros((matrix.shape[0], 1))
        return self._trained.fold(self._graph(matrix))

    def _graph(self, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        return matrix if self.settings.weighted else matrix.multiply(matrix >= 1.0).tocsr()


class LightGcn(CollaborativeGraph):
    """LightGCN (He et al., SIGIR 2020)."""

    network = "lightgcn"


class Ngcf(CollaborativeGraph):
    """NGCF (Wang et al., SIGIR 2019)."""

    network = "ngcf"
