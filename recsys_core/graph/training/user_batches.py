"""Steps on batches of users: each passes messages on the whole graph, few users have a loss.

On sparse data the network needs some hundred updates, and a softmax over all users and items in
each would cost most of the time.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from scipy import sparse

from recsys_core.graph.model.csr import CSR
from recsys_core.graph.model.gat import GAT
from recsys_core.graph.model.message_passing import bind
from recsys_core.graph.training.cold_start_dropout import cold_start_dropout_of
from recsys_core.graph.training.factory import messages_of
from recsys_core.graph.training.losses import softmax_over_items
from recsys_core.graph.training.objective import Parts, target_weights
from recsys_core.graph.training.spec import TrainingSpec

CANDIDATES: Final = 1_500
"""Sampled items that the softmax of a step runs over."""


class UserBatches:
    """An epoch sees every user with targets once, `users_per_step` at a time.

    Args:
        spec: what is trained.
        generator: of the order of the users, the sampled items and the dropout.
    """

    def __init__(self, spec: TrainingSpec, generator: torch.Generator) -> None:
        messages, graph = messages_of(spec), spec.graph
        self._spec, self._generator = spec, generator
        adjacency, self._levels = messages.sorted()
        self._graph = bind(spec.backend, adjacency)
        self._dropout = cold_start_dropout_of(spec, messages, generator)
        weights = target_weights(graph.edges.ratings, spec.config, spec.data)
        cells = graph.edges.users, graph.edges.items
        self._rows = sparse.csr_matrix((weights, cells), (graph.n_users, graph.n_items))
        self._rows.eliminate_zeros()
        self._active = torch.from_numpy(np.flatnonzero(np.diff(self._rows.indptr)))
        self.count = -(-len(self._active) // spec.config.users_per_step)

    def losses(self, model: GAT) -> Iterator[tuple[torch.Tensor, Parts]]:
        """As `batching.Steps.losses`."""
        device, n_items = self._spec.device, self._spec.graph.n_items
        order = torch.randperm(len(self._active), generator=self._generator, device=device)
        for part in order.cpu().tensor_split(self.count):
            users = self._active[part].sort().values
            sample = None
            if n_items > CANDIDATES:
                drawn = torch.randperm(n_items, generator=self._generator, device=device)
                sample = drawn[:CANDIDATES].sort().values
            user_vectors, item_vectors = self._vectors(model)
            targets, weights = self._targets(users)
            batch = user_vectors.index_select(0, users.to(device))
            yield softmax_over_items(batch, item_vectors, targets, weights, sample), {}

    def vectors(self, model: GAT) -> tuple[torch.Tensor, torch.Tensor]:
        """As `batching.Steps.vectors`."""
        users, items = model(self._graph, self._levels)
        return users, items

    def _vectors(self, model: GAT) -> tuple[torch.Tensor, torch.Tensor]:
        if self._dropout is None:
            return self.vectors(model)
        users, items = model(*self._dropout.draw())
        return users, items

    def _targets(self, users: torch.Tensor) -> tuple[CSR, torch.Tensor]:
        """Places of the users' targets (b, n_items), and their weights."""
        some, device = self._rows[users.numpy()], self._spec.device
        rows = np.repeat(np.arange(len(users)), np.diff(some.indptr))
        places = torch.from_numpy(rows).to(device), torch.from_numpy(some.indices).long().to(device)
        shape = len(users), some.shape[1]
        return CSR.of_sorted(*places, shape), torch.from_numpy(some.data).to(device)
