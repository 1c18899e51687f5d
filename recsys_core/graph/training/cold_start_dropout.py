"""Cold-start dropout: in every epoch some users and items lose their id vectors and their edges.

A dropped user keeps a few random ratings as input, a dropped item none; the targets of the loss
stay complete. So the profile projections and the layers learn to represent users and items that
come after training (Volkovs, Yu and Poutanen, "DropoutNet: Addressing Cold Start in Recommender
Systems", NeurIPS 2017).
"""

import math
from typing import Final

import torch

from recsys_core.graph.model.message_graph import Adjacency, MessagePassing
from recsys_core.graph.model.message_passing import Backend, bind
from recsys_core.graph.training.factory import Messages
from recsys_core.graph.training.spec import TrainingSpec

_MOST_KEPT: Final = 30.0
"""A dropped user keeps about 1 to 30 ratings, log-uniformly distributed."""


class ColdStartDropout:
    """Draws which nodes are dropped, and the graph that is left.

    Args:
        messages: both directions of all edges, first those from the users.
        n_users: number of users.
        users: share of the users that are dropped.
        items: share of the items.
        backend: kernels that the graph is bound to.
        generator: source of randomness, on the device of the messages.
    """

    def __init__(
        self,
        messages: Messages,
        *,
        n_users: int,
        users: float,
        items: float,
        backend: Backend,
        generator: torch.Generator,
    ) -> None:
        pairs = len(messages.sources) // 2
        self._messages, self._backend, self._generator = messages, backend, generator
        self._users, self._items = messages.sources[:pairs], messages.targets[:pairs]
        device, n_nodes = self._users.device, messages.n_nodes
        self._share = torch.full((n_nodes,), items, device=device)
        self._share[:n_users] = users
        self._n_users = n_users
        self._degrees = torch.bincount(self._users, minlength=n_users)

    def draw(self) -> tuple[MessagePassing, torch.Tensor, torch.Tensor]:
        """(graph, levels of its edges, which nodes are dropped (n_nodes,))."""
        dropped = self._random(len(self._share)) < self._share
        kept_ratings = torch.exp(self._random(self._n_users) * math.log(_MOST_KEPT))
        chance = torch.where(dropped[: self._n_users], kept_ratings / self._degrees, torch.inf)
        kept = self._random(len(self._users)) < chance.index_select(0, self._users)
        kept &= ~dropped.index_select(0, self._items)
        both = torch.nonzero(kept.repeat(2)).squeeze(1)
        whole = self._messages
        adjacency = Adjacency(whole.sources[both], whole.targets[both], whole.n_nodes)
        return bind(self._backend, adjacency), whole.levels[both][adjacency.order], dropped

    def _random(self, number: int) -> torch.Tensor:
        return torch.rand(number, generator=self._generator, device=self._users.device)


def cold_start_dropout_of(
    spec: TrainingSpec, messages: Messages, generator: torch.Generator
) -> ColdStartDropout | None:
    """The dropout that the configuration asks for; None for none."""
    users, items = spec.config.cold_start_dropout_users, spec.config.cold_start_dropout_items
    if not users and not items:
        return None
    return ColdStartDropout(
        messages, n_users=spec.graph.n_users, users=users, items=items, backend=spec.backend,
        generator=generator,
    )  # fmt: skip
