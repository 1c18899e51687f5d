"""The steps of an epoch: one on the whole graph, one per batch of users, or many on samples."""

from collections.abc import Iterator
from typing import Final, Protocol

import torch

from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import Edges
from recsys_core.graph.model.gat import GAT
from recsys_core.graph.model.message_passing import bind
from recsys_core.graph.training.cold_start_dropout import cold_start_dropout_of
from recsys_core.graph.training.factory import messages_of
from recsys_core.graph.training.mini_batches import MiniBatches
from recsys_core.graph.training.objective import Parts, build_objective, check_likes
from recsys_core.graph.training.spec import TrainingSpec
from recsys_core.graph.training.user_batches import UserBatches

FULL_BATCH_EDGES: Final = 10_000_000
"""Most rated pairs that `graph.batch_edges: null` trains on all at once."""
BATCH_EDGES: Final = 131_072
"""Pairs per step beyond."""


class Steps(Protocol):
    """How an epoch is made of steps."""

    count: int

    def losses(self, model: GAT) -> Iterator[tuple[torch.Tensor, Parts]]:
        """The loss of every step of an epoch; the caller updates the model after each."""

    def vectors(self, model: GAT) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors of all users and of all items."""


def steps_of(spec: TrainingSpec, generator: torch.Generator) -> Steps:
    """The steps that the configuration asks for.

    Raises:
        DataError: there is no liked edge.
        ConfigError: neighbours are to be sampled, and DGL is not installed.
    """
    check_likes(spec.graph, spec.data)
    size = batch_edges(spec.config, spec.graph.edges)
    if size:
        return MiniBatches(spec, size, generator)
    of_users = spec.config.loss == "softmax" and spec.config.users_per_step > 0
    return UserBatches(spec, generator) if of_users else FullBatch(spec, generator)


def batch_edges(config: GraphConfig, edges: Edges) -> int:
    """Pairs per step; 0 for all of them at once."""
    if config.batch_edges is not None:
        return config.batch_edges
    return 0 if len(edges) <= FULL_BATCH_EDGES else BATCH_EDGES


class FullBatch:
    """One step per epoch, on all edges."""

    count = 1

    def __init__(self, spec: TrainingSpec, generator: torch.Generator) -> None:
        messages = messages_of(spec)
        adjacency, self._levels = messages.sorted()
        self._graph = bind(spec.backend, adjacency)
        self._dropout = cold_start_dropout_of(spec, messages, generator)
        self._objective = build_objective(
            spec.graph, spec.config, spec.data, spec.device, generator
        )

    def losses(self, model: GAT) -> Iterator[tuple[torch.Tensor, Parts]]:
        """As `Steps.losses`."""
        if self._dropout is None:
            yield self._objective(*self.vectors(model))
        else:
            yield self._objective(*model(*self._dropout.draw()))

    def vectors(self, model: GAT) -> tuple[torch.Tensor, torch.Tensor]:
        """As `Steps.vectors`."""
        users, items = model(self._graph, self._levels)
        return users, items
