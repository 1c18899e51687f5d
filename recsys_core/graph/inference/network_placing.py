"""The network's part of the vectors of users who came after training, by numpy alone.

Messages go from items to new users only, so what the items send in every layer never changes; a
user needs the rows of the items that they rated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys_core.graph.interaction_graph import RATING_LEVELS, Edges, Floats, Indices
from recsys_core.interactions.feedback import RatingScale

Numbers = npt.NDArray[np.floating[Any]]

SLOPE: Final = 0.2
SMALL: Final = 1e-12
_NORM_EPSILON: Final = 1e-5
"""Of torch's normalisations of vectors and layers."""


@dataclass(frozen=True, kw_only=True)
class LayerMessages:
    """What one attention layer says to a user.

    Attributes:
        sent: (n_items, heads, hidden) by the items.
        source_scores: (n_items, heads).
        target: (heads, hidden) parameter that scores the user's own part.
        level: (levels, heads) weight of a rating's level.
        transform: (width, width) of the user's own part; None where layers do not transform.
        norm: (2, width) scale and shift of the layer norm; None without.
    """

    sent: Floats
    source_scores: Floats
    target: Floats
    level: Floats
    transform: Floats | None
    norm: Floats | None

    @cached_property
    def sent_by_head(self) -> tuple[Floats, ...]:
        """Of each head (n_items, hidden), as products read it."""
        return tuple(np.ascontiguousarray(self.sent[:, head]) for head in range(self.sent.shape[1]))

    def wants(self, state: Floats) -> Floats:
        """(n, heads) the users' own part of the logits."""
        heads, hidden = self.target.shape
        own = state if self.transform is None else state @ self.transform.T
        asked: Floats = (own.reshape(len(state), heads, hidden) * self.target).sum(-1)
        return asked

    def behind(self, received: Floats, size: Numbers | None, state: Floats) -> Floats:
        """(n, width) states behind the layer, of what users received (n, heads, hidden)."""
        found = received.reshape(len(state), -1)
        if size is not None:
            found = (found * size).astype(np.float32)
        if self.norm is None:
            return found
        middle = found - found.mean(1, keepdims=True)
        spread = np.sqrt(found.var(1, keepdims=True) + _NORM_EPSILON)
        normal = middle / spread * self.norm[0] + self.norm[1]
        active: Floats = np.where(normal > 0, normal, SLOPE * normal) + state
        return active.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class NetworkPlacing:
    """The network's part of a user's vector.

    Attributes:
        projection: (width, d_text) of the profile's text vector.
        offset: (width,) of the projection.
        layers: what each layer says.
        item_degrees: (n_items,) messages that each item receives.
        evidence: worth of a profile and half-known point, in ratings; None without biases.
        settings: the fields of the training's configuration that matter here.
    """

    projection: Floats
    offset: Floats
    layers: tuple[LayerMessages, ...]
    item_degrees: Floats
    evidence: Floats | None
    settings: Mapping[str, Any]

    def vectors(self, texts: Floats, edges: Edges, scale: RatingScale) -> Floats:
        """(n, d) of users with profile vectors (n, d_text) and these ratings."""
        edges = self.read(edges, scale)
        degrees = np.bincount(edges.users, minlength=len(texts)).astype(np.float32)
        received = _Received.of(edges, rating_levels(edges.ratings, scale), degrees, self)
        states = [self.begin(texts, degrees)]
        for layer in self.layers:
            states.append(received.through(layer, states[-1]))
        return self.end(states, degrees)

    def read(self, edges: Edges, scale: RatingScale) -> Edges:
        """The ratings that the network reads."""
        return edges.liked(scale) if self.settings["edges"] == "liked" else edges

    def begin(self, texts: Floats, degrees: Floats) -> Floats:
        """(n, width) states of users before the first layer."""
        projected = texts * np.float32(self.settings["user_text_scale"]) @ self.projection.T
        state = projected + self.offset
        worth = self.settings["user_text_half_life"]
        if worth is not None:
            state = state * (worth / (worth + degrees))[:, None]
        return state.astype(np.float32)

    def end(self, states: Sequence[Floats], degrees: Floats) -> Floats:
        """(n, d) vectors of the states before and behind each layer."""
        mean = self.settings["layer_combination"] == "mean"
        found: Floats = np.mean(states, axis=0, dtype=np.float32) if mean else states[-1]
        # What was stored before there was a softmax without biases names no loss.
        cosine = self.evidence is not None or self.settings.get("loss") == "softmax"
        return self._cosine(found, degrees) if cosine else found

    def _cosine(self, users: Floats, degrees: Floats) -> Floats:
        lengths = np.maximum(np.linalg.norm(users, axis=1), SMALL) * self.settings["temperature"]
        if self.evidence is None:
            directed: Floats = (users / lengths[:, None]).astype(np.float32)
            return directed
        profile, half = np.exp(self.evidence)
        certainty = (degrees + profile) / (degrees + profile + half)
        scaled = users * (certainty / lengths)[:, None]
        return np.hstack([scaled, np.ones((len(users), 1))]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class _Received:
    """The ratings of some users, sorted by user, as the messages of every layer come along them.

    Attributes:
        users: (n_edges,) ascending.
        items: (n_edges,).
        levels: (n_edges,) of the ratings.
        starts: (n + 1,) where the ratings of each user begin.
        reach: (n_edges,) what an item's message weighs by the item's degree; None without
            symmetric normalisation.
        size: (n, 1) what that normalisation multiplies a user's mean message by.
    """

    users: Indices
    items: Indices
    levels: Indices
    starts: Indices
    reach: Numbers | None
    size: Numbers | None

    @classmethod
    def of(
        cls, edges: Edges, levels: Indices, degrees: Floats, network: NetworkPlacing
    ) -> "_Received":
        """Of users with these degrees (n,)."""
        count, users, items = len(degrees), edges.users, edges.items
        if len(users) and (np.diff(users) < 0).any():
            order = np.argsort(users, kind="stable")
            users, items, levels = users[order], items[order], levels[order]
        reach: Numbers | None = None
        size: Numbers | None = None
        if network.settings["symmetric_normalization"]:
            reach = 1 / np.sqrt(np.maximum(network.item_degrees[items], 1))
            summed = np.bincount(users, reach, minlength=count)
            size = (summed / np.maximum(degrees, 1) * np.sqrt(degrees))[:, None]
        starts = np.searchsorted(users, np.arange(count + 1))
        return cls(users=users, items=items, levels=levels, starts=starts, reach=reach, size=size)

    def through(self, layer: LayerMessages, state: Floats) -> Floats:
        """(n, width) states of the users behind a layer."""
        heads, hidden = layer.target.shape
        logits = layer.source_scores[self.items] + layer.wants(state)[self.users]
        logits = np.where(logits > 0, logits, SLOPE * logits) + layer.level[self.levels]
        if self.reach is not None:
            logits = logits + np.log(self.reach)[:, None]
        shares = _softmax(logits, self.users, self.starts)
        received = np.empty((len(state), heads, hidden), np.float32)
        weights = np.ascontiguousarray(shares.T, np.float32)
        rows = sparse.csr_matrix(
            (weights[0], self.items, self.starts), (len(state), len(layer.source_scores))
        )
        for head, sent in enumerate(layer.sent_by_head):
            rows.data = weights[head]  # to make a matrix takes longer than its product
            received[:, head] = rows @ sent
        return layer.behind(received, self.size, state)


def rating_levels(ratings: Floats, scale: RatingScale) -> Indices:
    """As `gat.rating_levels`."""
    width = np.float32(scale.rating_max - scale.rating_min)
    share = (ratings - np.float32(scale.rating_min)) / width
    return (share * RATING_LEVELS).astype(np.int64).clip(0, RATING_LEVELS - 1)


def _softmax(logits: Floats, users: Indices, starts: Indices) -> Floats:
    """(n_edges, heads) shares among the edges of each user, which begin at `starts`."""
    if not len(users):
        return logits
    some = np.flatnonzero(np.diff(starts))
    largest = np.empty((len(starts) - 1, logits.shape[1]), np.float32)
    largest[some] = np.maximum.reduceat(logits, starts[some])
    raised = np.exp(logits - largest[users])
    sums = np.empty_like(largest)
    sums[some] = np.add.reduceat(raised, starts[some])
    shares: Floats = raised / sums[users]
    return shares
