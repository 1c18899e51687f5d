"""Training of LightGCN and NGCF, and the fold-in of new users."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn.functional import normalize

from recsys_core.errors import TrainingError
from recsys_core.recommenders.factor_model import Vectors
from recsys_core.recommenders.lightgcn.config import LightGcnConfig
from recsys_core.recommenders.lightgcn.networks import GraphNetwork, LightGcnNetwork, NgcfNetwork
from recsys_core.recommenders.lightgcn.normalized_adjacency import Adjacency, degrees, edge_weights
from recsys_core.recommenders.lightgcn.ranking_losses import objective
from recsys_core.recommenders.rating_matrix import Scores


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedGraph:
    """A trained network, and what it takes to place new users.

    Attributes:
        users: vectors (n_users, d).
        items: vectors (n_items, d).
        network: the network.
        item_layers: vectors of the items after 0, 1, ... rounds.
        item_degrees: (n_items,) in the graph of training.
        cosine: scores are cosines.
    """

    users: Vectors
    items: Vectors
    network: GraphNetwork
    item_layers: list[Tensor]
    item_degrees: Scores
    cosine: bool

    def fold(self, matrix: sparse.csr_matrix) -> Vectors:
        """Vectors (n, d) of new users from their weights (n, n_items)."""
        edges = edge_weights(matrix, self.item_degrees).astype(np.float32)
        messages = [torch.from_numpy(edges @ layer.numpy()) for layer in self.item_layers[:-1]]
        with torch.inference_mode():
            folded = self.network.readout(list(self.network.fold(messages)))
            return _scoring(folded, self.cosine)


def train(name: str, matrix: sparse.csr_matrix, settings: LightGcnConfig) -> TrainedGraph:
    """Train `lightgcn` or `ngcf` on the weights (n_users, n_items), which must have entries.

    One seed gives the same vectors on one thread; the caller's random state is left alone.

    Raises:
        TrainingError: the loss is not finite.
    """
    networks = {"lightgcn": LightGcnNetwork, "ngcf": NgcfNetwork}
    adjacency = Adjacency(edge_weights(matrix, degrees(matrix)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = networks[name](sum(matrix.shape), settings)
        _optimise(network, adjacency, matrix, settings)
    network.eval()
    with torch.inference_mode():
        layers = network.layers(adjacency)
        final = _scoring(network.readout(layers), settings.loss == "softmax")
    return TrainedGraph(
        users=final[: matrix.shape[0]],
        items=final[matrix.shape[0] :],
        network=network,
        item_layers=[layer[matrix.shape[0] :].detach().clone() for layer in layers],
        item_degrees=degrees(matrix),
        cosine=settings.loss == "softmax",
    )


def _optimise(
    network: GraphNetwork, adjacency: Adjacency, matrix: sparse.csr_matrix, settings: LightGcnConfig
) -> None:
    loss = objective(matrix, settings)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    for step in range(settings.steps):
        optimiser.zero_grad()
        final = network.readout(network.layers(adjacency))
        value = loss(final[: matrix.shape[0]], final[matrix.shape[0] :])
        value = value + settings.decay * network.nodes.square().sum(dim=1).mean()
        if not torch.isfinite(value):
            raise TrainingError(
                f"Graph baseline: the loss is {value.item()} at step {step}.",
                expected="a finite loss.",
                fix="lower the learning rate.",
            )
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def _scoring(vectors: Tensor, cosine: bool) -> Vectors:
    # What was trained on cosines is ranked by cosines.
    scoring: Vectors = (normalize(vectors) if cosine else vectors).numpy()
    return scoring
