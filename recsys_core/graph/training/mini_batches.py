"""Steps on sampled neighbourhoods, for graphs that are too large to pass messages on at once."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch

from recsys_core.graph.inference.layerwise import all_vectors
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.graph.model.csr import CSR
from recsys_core.graph.model.gat import GAT
from recsys_core.graph.model.message_graph import Adjacency
from recsys_core.graph.training.factory import messages_of
from recsys_core.graph.training.losses import softmax_over_items
from recsys_core.graph.training.neighbor_sampling import NeighborSampler
from recsys_core.graph.training.objective import (
    Parts,
    build_sampler,
    pairs_of,
    ranking_loss,
    target_weights,
)
from recsys_core.graph.training.spec import TrainingSpec

CANDIDATES: Final = 8_192
"""Sampled items that the softmax of a step runs over, in addition to the step's targets."""
_AT_ONCE: Final = 4_000_000
"""Edges at a time when the vectors of all nodes are computed."""


class MiniBatches:
    """Many steps per epoch, each on some liked pairs and what is sampled around them.

    The memory of a step, parameters and moments excepted, grows with `size` and with the
    sampled neighbours, not with the graph. The vectors of all nodes, for validation and for the
    result, are computed with all neighbours, some targets at a time.

    Args:
        spec: what is trained.
        size: pairs per step.
        generator: of the order of the pairs, the negatives and the neighbours.
    """

    def __init__(self, spec: TrainingSpec, size: int, generator: torch.Generator) -> None:
        messages, config, graph = messages_of(spec), spec.config, spec.graph
        self._spec, self._generator, self._size = spec, generator, size
        self._around = NeighborSampler(
            messages.sources, messages.targets, messages.levels, n_nodes=messages.n_nodes,
            fan_out=config.num_neighbors, layers=config.layers, backend=spec.backend,
            device=spec.device,
        )  # fmt: skip
        self._all: tuple[Adjacency, torch.Tensor] = messages.sorted()
        edges = graph.edges.by_user()
        weights = _weights(spec, edges)
        self._users, self._items = pairs_of(edges.where(weights > 0), spec.device)
        self._weights = torch.from_numpy(weights[weights > 0]).to(spec.device)
        self._sampler = build_sampler(graph, config, spec.data, spec.device)
        self._wanted = torch.bincount(self._items, minlength=graph.n_items)
        self.count = -(-len(self._users) // size)

    def losses(self, model: GAT) -> Iterator[tuple[torch.Tensor, Parts]]:
        """As `Steps.losses`."""
        device, total = self._spec.device, len(self._users)
        number = torch.randint(2**31 - 1, (1,), generator=self._generator, device=device)
        self._around.seed(int(number))
        order = torch.randperm(total, generator=self._generator, device=device)
        loss = self._softmax if self._spec.config.loss == "softmax" else self._ranking
        for start in range(0, total, self._size):
            # The pairs are sorted by user, and so is every part of them.
            yield loss(model, order[start : start + self._size].sort().values)

    def vectors(self, model: GAT) -> tuple[torch.Tensor, torch.Tensor]:
        """As `Steps.vectors`."""
        return all_vectors(model, *self._all, self._spec.backend, _AT_ONCE)

    def _ranking(self, model: GAT, pairs: torch.Tensor) -> tuple[torch.Tensor, Parts]:
        users, items = self._users[pairs], self._items[pairs]
        negatives, kept = self._sampler.draw(users, self._generator)
        seeds = self._seeds(users, items, negatives)
        vectors = model.of_blocks(*self._around.of(seeds), self._all[0].degrees)
        liked = self._among(seeds, users, items)
        unknown = self._among(seeds, users[kept], negatives)
        return ranking_loss(self._spec.config, *vectors, liked, unknown, kept)

    def _softmax(self, model: GAT, pairs: torch.Tensor) -> tuple[torch.Tensor, Parts]:
        users, items = self._users[pairs], self._items[pairs]
        drawn = torch.randperm(
            self._spec.graph.n_items, generator=self._generator, device=users.device
        )[:CANDIDATES]
        seeds = self._seeds(users, items, drawn)
        user_vectors, item_vectors = model.of_blocks(*self._around.of(seeds), self._all[0].degrees)
        there = seeds[len(user_vectors) :] - self._spec.graph.n_users
        chance = self.chance_of(there, len(pairs), len(drawn)).to(item_vectors.dtype)
        # An item that is there by a chance of one in ten stands for ten (the last column is the
        # item's bias): the sum over those there is then, on average, the sum over all items.
        bias = item_vectors[:, -1:] - chance.log().unsqueeze(1)
        item_vectors = torch.cat([item_vectors[:, :-1], bias], 1)
        targets = self._among(seeds, users, items)
        return softmax_over_items(user_vectors, item_vectors, targets, self._weights[pairs]), {}

    def chance_of(self, items: torch.Tensor, pairs: int, drawn: int) -> torch.Tensor:
        """Chance (n,) of each item to be among a step's candidates: drawn, or a target of it."""
        not_drawn = 1 - drawn / self._spec.graph.n_items
        no_target: torch.Tensor = (1 - pairs / len(self._users)) ** self._wanted[items].double()
        return 1 - not_drawn * no_target

    def _seeds(self, users: torch.Tensor, *items: torch.Tensor) -> torch.Tensor:
        first = self._spec.graph.n_users
        nodes = torch.cat([users, *(one + first for one in items)])
        seeds: torch.Tensor = torch.unique(nodes)
        return seeds

    def _among(self, seeds: torch.Tensor, users: torch.Tensor, items: torch.Tensor) -> CSR:
        """Pairs of nodes as places of the matrix of the seeds' users x items."""
        n_users = int((seeds < self._spec.graph.n_users).sum())
        rows = torch.searchsorted(seeds, users)
        columns = torch.searchsorted(seeds, items + self._spec.graph.n_users) - n_users
        return CSR.of_sorted(rows, columns, (n_users, len(seeds) - n_users))


def _weights(spec: TrainingSpec, edges: Edges) -> Floats:
    """(n_edges,) weight of every edge as a target; 0 for those that are none."""
    if spec.config.loss == "softmax":
        return target_weights(edges.ratings, spec.config, spec.data)
    return (edges.ratings >= spec.data.like_from).astype(np.float32)
