"""Practice of the cold start: in every epoch some users and items play new.

A user who plays new shows a few ratings, drawn anew each time, and has no id vector; an item that
plays new shows none. What is to be predicted stays all that they have. So the projections of the
profiles and the layers learn to place whom they do not know, and the model serves users and items
that come after training.
"""

import math
from typing import Final

import torch

from recsys_core.graph.model.adjacency import Adjacency, MessagePassing
from recsys_core.graph.model.message_passing import Backend, bind
from recsys_core.graph.training.factory import Messages
from recsys_core.graph.training.spec import Task

_MOST_SHOWN: Final = 30.0
"""A user who plays new shows about 1 to 30 ratings, few as often as many (log-uniform)."""


class Practice:
    """Draws who plays new, and the graph that is left.

    Args:
        messages: both directions of all edges, first those from the users.
        n_users: number of users.
        users: share of the users that play new.
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
        self._ratings = torch.bincount(self._users, minlength=n_users)

    def draw(self) -> tuple[MessagePassing, torch.Tensor, torch.Tensor]:
        """(graph, levels of its edges, which nodes are new (n_nodes,))."""
        new = self._random(len(self._share)) < self._share
        shown = torch.exp(self._random(self._n_users) * math.log(_MOST_SHOWN))
        chance = torch.where(new[: self._n_users], shown / self._ratings, torch.inf)
        kept = self._random(len(self._users)) < chance.index_select(0, self._users)
        kept &= ~new.index_select(0, self._items)
        both = torch.nonzero(kept.repeat(2)).squeeze(1)
        whole = self._messages
        adjacency = Adjacency(whole.sources[both], whole.targets[both], whole.n_nodes)
        return bind(self._backend, adjacency), whole.levels[both][adjacency.order], new

    def _random(self, number: int) -> torch.Tensor:
        return torch.rand(number, generator=self._generator, device=self._users.device)


def practice_of(task: Task, messages: Messages, generator: torch.Generator) -> Practice | None:
    """The practice that the configuration asks for; None for none."""
    users, items = task.config.practice_users, task.config.practice_items
    if not users and not items:
        return None
    return Practice(
        messages, n_users=task.graph.n_users, users=users, items=items, backend=task.backend,
        generator=generator,
    )  # fmt: skip
