"""The layers of LightGCN and NGCF over all nodes, users first, then items."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu, normalize

from recsys_core.recommenders.lightgcn.config import LightGcnConfig
from recsys_core.recommenders.lightgcn.normalized_adjacency import Adjacency

_SCALE: Final = 0.1
"""Standard deviation of the first vectors."""
_DROPOUT: Final = 0.1
_SLOPE: Final = 0.2


class GraphNetwork(nn.Module):
    """Learned vectors, refined by rounds of messages between neighbours.

    Args:
        n_nodes: users and items together.
        settings: sizes.
    """

    def __init__(self, n_nodes: int, settings: LightGcnConfig) -> None:
        super().__init__()
        self.nodes = nn.Parameter(_SCALE * torch.randn(n_nodes, settings.dimensions))
        self.rounds = settings.layers

    def layers(self, adjacency: Adjacency) -> list[Tensor]:
        """Vectors of all nodes after 0, 1, ... rounds: rounds + 1 of (n_nodes, d)."""
        vectors: list[Tensor] = [self.nodes]
        for number in range(self.rounds):
            vectors.append(self.step(number, vectors[-1], adjacency.spread(vectors[-1])))
        return vectors

    def fold(self, messages: Iterable[Tensor]) -> Iterator[Tensor]:
        """The same for new users, whose first vector is zero.

        Args:
            messages: for each round, the weighted sums of their items' vectors, (n, d).
        """
        vectors: Tensor | None = None
        for number, message in enumerate(messages):
            if vectors is None:
                vectors = torch.zeros_like(message)
                yield vectors
            vectors = self.step(number, vectors, message)
            yield vectors

    @abstractmethod
    def step(self, number: int, own: Tensor, message: Tensor) -> Tensor:
        """The next vectors (n, d) from the present ones and from the neighbours' sums."""

    @abstractmethod
    def readout(self, layers: list[Tensor]) -> Tensor:
        """The vectors that score, (n, d or more), from those of every round."""


class LightGcnNetwork(GraphNetwork):
    """LightGCN: sums of neighbours, no transformation; the mean over all rounds scores.

    He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation"
    (SIGIR 2020), eqs. 3 and 4.
    """

    def step(self, number: int, own: Tensor, message: Tensor) -> Tensor:  # noqa: ARG002
        """The neighbours' sum alone."""
        return message

    def readout(self, layers: list[Tensor]) -> Tensor:
        """The mean of the rounds, (n, d)."""
        return torch.stack(layers).mean(dim=0)


class NgcfNetwork(GraphNetwork):
    """NGCF: transformed sums and products with the neighbours; all rounds side by side score.

    Wang et al., "Neural Graph Collaborative Filtering" (SIGIR 2019), eqs. 7 and 9, with the
    normalised rounds and the dropout of the authors' code.
    """

    def __init__(self, n_nodes: int, settings: LightGcnConfig) -> None:
        super().__init__(n_nodes, settings)
        size = settings.dimensions
        self.sums = nn.ModuleList(nn.Linear(size, size) for _ in range(settings.layers))
        self.products = nn.ModuleList(nn.Linear(size, size) for _ in range(settings.layers))

    def step(self, number: int, own: Tensor, message: Tensor) -> Tensor:
        """LeakyReLU(W1 (own + message) + W2 (own * message)), with dropout in training."""
        summed = self.sums[number](own + message) + self.products[number](own * message)
        return dropout(leaky_relu(summed, _SLOPE), _DROPOUT, training=self.training)

    def readout(self, layers: list[Tensor]) -> Tensor:
        """All rounds side by side, those after the first at length 1: (n, (rounds + 1) d)."""
        return torch.cat([layers[0], *(normalize(layer) for layer in layers[1:])], dim=1)
