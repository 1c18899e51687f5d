"""The network's vectors of one user under many parts of the same history, all at once.

A folded-in user receives messages from rated items and sends none, so the items' states are those
of training. What is left is attention over the history, a dense product per layer: taking each of
h ratings away costs h x h x width operations, not h passes over the graph.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from recsys_core.graph.inference.fold_in import FittedModel
from recsys_core.graph.inference.layerwise import layer_states
from recsys_core.graph.inference.network_fold_in import network_model, training_messages
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.graph.model.attention_layer import AttentionLayer, rating_levels
from recsys_core.graph.model.gat import GAT
from recsys_core.graph.model.message_graph import MessagePassing
from recsys_core.graph.model.message_passing import choose_backend

Bools = npt.NDArray[np.bool_]
_AT_ONCE = 4_000_000
"""Edges at a time while the items' states are made."""
_CELLS = 4_000_000
"""Parts of a history x ratings at a time (a few hundred MB with all heads)."""


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Which ratings each part keeps, as an adjacency of parts (targets) and ratings (sources)."""

    targets: torch.Tensor
    sources: torch.Tensor
    degrees: torch.Tensor
    shape: tuple[int, int]

    @property
    def n_targets(self) -> int:
        """Number of parts."""
        return self.shape[0]


class _PartsOfHistory(MessagePassing):
    """The operations of attention where nearly every target has nearly every source."""

    adjacency: _Pairs  # type: ignore[assignment]

    def __init__(self, kept: torch.Tensor) -> None:
        targets, sources = torch.nonzero(kept, as_tuple=True)
        self.adjacency = _Pairs(
            targets=targets, sources=sources, degrees=kept.sum(1),
            shape=(kept.shape[0], kept.shape[1]),
        )  # fmt: skip

    def pair_sum(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        pairs = self.adjacency
        return source.index_select(0, pairs.sources) + target.index_select(0, pairs.targets)

    def softmax(self, logits: torch.Tensor) -> torch.Tensor:
        pairs = self.adjacency
        shares = self._dense(logits, -torch.inf).softmax(1)
        return shares[pairs.targets, pairs.sources]

    def weighted_sum(self, features: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        dense = self._dense(weights, 0.0).permute(2, 0, 1)  # (H, parts, ratings)
        return torch.bmm(dense, features.permute(1, 0, 2)).permute(1, 0, 2)

    def _dense(self, values: torch.Tensor, empty: float) -> torch.Tensor:
        pairs = self.adjacency
        found = values.new_full((*pairs.shape, values.shape[1]), empty)
        found[pairs.targets, pairs.sources] = values
        return found


@dataclass(frozen=True, kw_only=True)
class PartialHistories:
    """The trained network with the states of its items, for users who are folded in.

    Attributes:
        fitted: the trained model.
        model: its network.
        states: (n_items, width) of every layer, the input first.
        degrees: (n_items,) edges of each item.
    """

    fitted: FittedModel
    model: GAT
    states: tuple[torch.Tensor, ...]
    degrees: torch.Tensor

    @classmethod
    def of(cls, fitted: FittedModel) -> Self:
        """Compute the items' states, once for all users."""
        model = network_model(fitted, fitted.user_text[:0]).eval()
        adjacency, levels = training_messages(fitted)
        backend = choose_backend(fitted.config.backend, torch.device("cpu"))
        first = fitted.graph.n_users
        with torch.no_grad():
            states = [
                one[first:].clone()
                for one in layer_states(model, adjacency, levels, backend, _AT_ONCE)
            ]
        return cls(
            fitted=fitted, model=model, states=tuple(states), degrees=adjacency.degrees[first:]
        )

    @property
    def width(self) -> int:
        """Numbers in a state; vectors may have one more for the items' biases."""
        return int(self.states[0].shape[1])

    def vectors(self, profile: Floats, history: Edges, kept: Bools) -> Floats:
        """(n_parts, d) vectors of one user, as the network's part of `fold_in_users`.

        Args:
            profile: (d_text,) text vector of the user.
            history: the user's n ratings.
            kept: (n_parts, n) which of them each part keeps.
        """
        if self.fitted.config.edges == "liked":
            liked = history.ratings >= np.float32(self.fitted.data.like_from)
            history, kept = history.where(liked), kept[:, liked]
        step = max(1, _CELLS // max(len(history), 1))
        parts = [kept[at : at + step] for at in range(0, max(len(kept), 1), step)]
        with torch.no_grad():
            found = [self._vectors(profile, history, torch.from_numpy(one)) for one in parts]
        return torch.cat(found).numpy()

    def _vectors(self, profile: Floats, history: Edges, kept: torch.Tensor) -> torch.Tensor:
        graph, items = _PartsOfHistory(kept), torch.from_numpy(history.items)
        pairs, reach = graph.adjacency, self.degrees[items]
        levels = rating_levels(torch.from_numpy(history.ratings), self.fitted.data)[pairs.sources]
        text = torch.from_numpy(profile[None].astype(np.float32))
        scaled = (text * self.fitted.config.user_text_scale).expand(len(kept), -1)
        states = [self.model.user_inputs(scaled, pairs.degrees)]
        for layer, of_items in zip(self.model.layers, self.states, strict=False):
            assert isinstance(layer, AttentionLayer)  # noqa: S101 - a ModuleList forgets the type
            sent, own = layer.sent(of_items[items]), layer.sent(states[-1])
            states.append(
                layer.received(graph, levels, sent, own, states[-1], reach, pairs.degrees)
            )
        return self.model.user_outputs(self.model.combined(states), pairs.degrees)
