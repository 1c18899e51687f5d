"""The graph attention network over users and items (paper 2.2).

Users and items are nodes of one graph with edges in both directions. A node's input is the
projection of its profile's text vector plus a learned id vector; the layers are those of
`attention_layer`.

A node without an id vector is described by its profile and its neighbours alone; cold-start dropout
trains for that, and fold-in uses it.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from recsys_core.graph.config import TrainingConfig
from recsys_core.graph.model.attention_layer import AttentionLayer
from recsys_core.graph.model.message_graph import Block, MessagePassing
from recsys_core.graph.model.mixed_precision import Dense

_TEXT_AT_FIRST: Final = 0.1
"""Factor on the projections of texts where data are sparse: id vectors start from singular vectors
there, which noise of the same size would drown."""


class GAT(nn.Module):
    """Projection of profiles, id vectors, attention layers, and vectors whose dot product scores.

    Args:
        user_text: (n_users, d_text) text vectors of the users' profiles; zeros where there is none.
        item_text: (n_items, d_text) of the items'.
        ids: (n_users + n_items, rank) start of the id vectors, or None for none.
        bias: (n_items,) start of the items' biases, or None for none.
        config: sizes and choices.
    """

    user_text: torch.Tensor
    item_text: torch.Tensor

    def __init__(
        self,
        user_text: torch.Tensor,
        item_text: torch.Tensor,
        ids: torch.Tensor | None,
        bias: torch.Tensor | None,
        config: TrainingConfig,
    ) -> None:
        super().__init__()
        width = config.hidden * config.heads
        self.config = config
        self.n_users = len(user_text)
        # Inputs, not weights: they are artifacts of their own.
        self.register_buffer("user_text", user_text * config.user_text_scale, persistent=False)
        self.register_buffer("item_text", item_text, persistent=False)
        self.user_projection = Dense(user_text.shape[1], width)
        self.item_projection = Dense(item_text.shape[1], width)
        if config.recipe == "sparse":
            with torch.no_grad():
                for projection in (self.user_projection, self.item_projection):
                    for one in projection.parameters():
                        one.mul_(_TEXT_AT_FIRST)
        self.ids = None if ids is None else nn.Parameter(_widened(ids, width))
        self.layers = nn.ModuleList(AttentionLayer(config) for _ in range(config.layers))
        biased = bias is not None
        self.item_bias = nn.Parameter(bias.clone()) if bias is not None else None
        self.popularity = Dense(item_text.shape[1], 1) if biased else None
        # In ratings, as logarithms: what a profile is worth, and what makes a user half known.
        self.evidence = nn.Parameter(torch.tensor([0.0, math.log(6.0)])) if biased else None

    def forward(
        self, graph: MessagePassing, levels: torch.Tensor, new: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors of users (n_users, d) and items (n_items, d).

        d is `heads` x `hidden`, and one more where there is an item bias.

        Args:
            graph: the edges.
            levels: (n_edges,) in its order.
            new: (n_nodes,) true for a node without id vector and bias; nodes without edges have
                none in any case.
        """
        degrees = graph.adjacency.degrees
        new = degrees == 0 if new is None else new | (degrees == 0)
        states = [self.inputs(degrees, new)]
        for layer in self.layers:
            states.append(layer(graph, levels, states[-1], degrees))
        return self.outputs(self.combined(states), degrees, new)

    def of_blocks(
        self, nodes: torch.Tensor, blocks: Sequence[Block], degrees: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors of the users and of the items among the seeds of a sampled neighbourhood.

        Args:
            nodes: (n_nodes,) numbers of the nodes that send in the first block, the seeds first
                and in ascending order.
            blocks: one per layer; what one's targets receive is sent in the next.
            degrees: edges of each node of the whole graph.
        """
        seeds = nodes[: blocks[-1].graph.adjacency.n_targets]
        new = degrees[nodes] == 0
        states = [self.inputs(degrees[nodes], new, nodes)]
        for layer, block in zip(self.layers, blocks, strict=True):
            here = degrees[nodes[: len(states[-1])]]
            states.append(layer(block.graph, block.levels, states[-1], here))
        combined = self.combined([one[: len(seeds)] for one in states])
        return self.outputs(combined, degrees[seeds], new[: len(seeds)], seeds)

    def slow_parameters(self) -> list[nn.Parameter]:
        """What gets no weight decay: vectors and biases of single nodes, and the evidence."""
        return [one for one in (self.ids, self.item_bias, self.evidence) if one is not None]

    def inputs(
        self, degrees: torch.Tensor, new: torch.Tensor, nodes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What the first layer is given: (n, width).

        Args:
            degrees: (n,) edges of each node.
            new: (n,) which have no id vector.
            nodes: (n,) their numbers; by default all, in order.
        """
        features = self._projected(degrees, nodes)
        if self.ids is not None:
            ids = self.ids if nodes is None else self.ids.index_select(0, nodes)
            features = features + (ids.masked_fill(new.unsqueeze(1), 0.0) if new.any() else ids)
        dropped: torch.Tensor = functional.dropout(features, self.config.dropout, self.training)
        return dropped

    def combined(self, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """One (n, width) from the input and what every layer made of it."""
        if self.config.layer_combination == "last":
            return states[-1]
        total = states[0]
        for one in states[1:]:
            total = total + one
        return total / len(states)

    def outputs(
        self,
        combined: torch.Tensor,
        degrees: torch.Tensor,
        new: torch.Tensor,
        nodes: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors of users and of items.

        Args:
            combined: (n, width) of `combined`.
            degrees: (n,) edges of each.
            new: (n,) which have no bias of their own.
            nodes: (n,) their numbers, in order; by default all.
        """
        n_users = self.n_users if nodes is None else int((nodes < self.n_users).sum())
        users, items = combined[:n_users], combined[n_users:]
        placed = self.user_outputs(users, degrees[:n_users])
        if self.config.loss != "softmax":
            return placed, items
        items, bias = functional.normalize(items, dim=1), self.item_bias
        if bias is None:
            return placed, items
        places = slice(None) if nodes is None else nodes[n_users:] - self.n_users
        own = torch.where(new[n_users:], self._popularity(places), bias[places])
        return placed, torch.cat([items, own.unsqueeze(1)], 1)

    def user_outputs(self, users: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
        """The users' part of `outputs`: (n, width) combined states, (n,) edges -> (n, d).

        With the softmax loss the dot product with an item's vector is
        certainty x cosine / temperature + item bias.
        """
        if self.config.loss != "softmax":
            return users
        users = functional.normalize(users, dim=1)
        if self.item_bias is None:
            return users / self.config.temperature
        users = users * self._certainty(degrees).unsqueeze(1)
        return torch.cat([users / self.config.temperature, users.new_ones(len(users), 1)], 1)

    def _projected(self, degrees: torch.Tensor, nodes: torch.Tensor | None) -> torch.Tensor:
        if nodes is None:
            users = self.user_inputs(self.user_text, degrees[: self.n_users])
            return torch.cat([users, self.item_projection(self.item_text)])
        first = torch.nonzero(nodes < self.n_users).squeeze(1)
        second = torch.nonzero(nodes >= self.n_users).squeeze(1)
        items = self.item_text.index_select(0, nodes[second] - self.n_users)
        users = self.user_inputs(self.user_text.index_select(0, nodes[first]), degrees[first])
        projected = torch.cat([users, self.item_projection(items)])
        return projected.index_select(0, torch.argsort(torch.cat([first, second])))

    def user_inputs(self, text: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
        """What users' texts (n, d_text) say of them, the less the more edges (n,) they have.

        The texts are scaled as `user_text` is (`GraphConfig.user_text_scale`).
        """
        projected: torch.Tensor = self.user_projection(text)
        worth = self.config.user_text_half_life
        if worth is None:
            return projected
        return projected * (worth / (worth + degrees.to(projected.dtype))).unsqueeze(1)

    def _popularity(self, items: torch.Tensor | slice) -> torch.Tensor:
        """What the profiles say of the biases, (n,)."""
        assert self.popularity is not None  # noqa: S101 - there with the bias
        found: torch.Tensor = self.popularity(self.item_text[items]).squeeze(1)
        return found

    def _certainty(self, degrees: torch.Tensor) -> torch.Tensor:
        """How far a user is known, 0 to 1: with few ratings, what is popular counts for more."""
        assert self.evidence is not None  # noqa: S101 - there with the bias
        profile, half = self.evidence.exp()
        known = degrees.to(profile.dtype) + profile
        certainty: torch.Tensor = known / (known + half)
        return certainty


def _widened(vectors: torch.Tensor, width: int) -> torch.Tensor:
    """(n, rank) -> (n, width): zeros fill up, a higher rank is cut."""
    return functional.pad(vectors, (0, max(0, width - vectors.shape[1])))[:, :width].clone()
