"""Scores of a user had parts of the history not been: the whole served sum, exactly.

Every component is asked what it would make of a folded-in user with some of the ratings: the
network (`partial_histories`), item-to-item maps, the dot-product components. Attribution takes
ratings away one by one, its measures in groups; both go through here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys_core.graph.components.dot_products.base import NETWORK
from recsys_core.graph.components.dot_products.ease import EaseComponent
from recsys_core.graph.components.dot_products.lightgcn import LightGcn
from recsys_core.graph.components.dot_products.residual_ease import ResidualEase, residuals
from recsys_core.graph.components.dot_products.temporal_popularity import TemporalPopularity
from recsys_core.graph.components.histories import Histories, HistoryInput
from recsys_core.graph.components.item_model import ItemToItemModel
from recsys_core.graph.inference.extract import network_placing
from recsys_core.graph.inference.fold_in import FittedModel
from recsys_core.graph.inference.network_placing import NetworkPlacing
from recsys_core.graph.inference.network_without_each import messages_of, vectors_without_each
from recsys_core.graph.inference.partial_histories import PartialHistories
from recsys_core.graph.interaction_graph import Edges, Floats, Indices
from recsys_core.graph.training.objective import target_weights
from recsys_core.graph.training.score_sum import histories_of

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Contributions:
    """What adds up to a user's scores of some items; each (n_items,) but the first.

    Attributes:
        ratings: (n, n_items) of each rating in the history.
        profile: of the text of the user's profile.
        attributes: of what else is known of the user.
        popularity: of the item itself, whoever the user is.
        time: of when the user was active.
        joint: of what ratings do together and no one of them alone (only where the network
            transforms, so that its score is no sum).
    """

    ratings: Floats
    profile: Floats
    attributes: Floats
    popularity: Floats
    time: Floats
    joint: Floats

    def total(self) -> Floats:
        """(n_items,) the sum."""
        others = self.profile + self.attributes + self.popularity + self.time + self.joint
        total: Floats = self.ratings.sum(0) + others
        return total


@dataclass(frozen=True, kw_only=True)
class Counterfactuals:
    """A trained model, ready for users under parts of their histories.

    Attributes:
        fitted: the model.
        network: its network with the items' states.
        placing: the same for one rating less at a time.
        neutral_weight: what a rating counts for that is neither liked nor disliked.
    """

    fitted: FittedModel
    network: PartialHistories
    placing: NetworkPlacing

    @classmethod
    def of(cls, fitted: FittedModel) -> Self:
        """Prepare the model, once for all users."""
        return cls(
            fitted=fitted, network=PartialHistories.of(fitted), placing=network_placing(fitted)
        )

    def users(
        self, shown: Edges, profiles: Floats, attributes: Floats, numbers: Indices | None = None
    ) -> Iterator["UserHistory"]:
        """The users of some ratings, one after the other.

        Args:
            shown: their ratings; `users` counts through `profiles`.
            profiles: (n, d_text) text vectors.
            attributes: (n, d) user attributes; d may be 0.
            numbers: users wanted; by default all.
        """
        shape = len(profiles), self.fitted.graph.n_items
        config, scale = self.fitted.config, self.fitted.data
        ordered = shown.by_user()
        rated = histories_of(ordered, shape, config.neutral_weight, scale)
        starts = np.searchsorted(ordered.users, np.arange(shape[0] + 1))
        for user in range(shape[0]) if numbers is None else numbers.tolist():
            here = np.arange(starts[user], starts[user + 1])
            yield UserHistory(
                source=self, edges=ordered.where(here), rated=rated.where(here),
                profile=profiles[user], attributes=attributes[user],
            )  # fmt: skip


@dataclass(frozen=True)
class UserHistory:
    """One user of `Counterfactuals`.

    Attributes:
        source: the model.
        edges: the user's n ratings.
        rated: the same as item-to-item maps read them.
        profile: (d_text,).
        attributes: (d,).
    """

    source: Counterfactuals
    edges: Edges
    rated: Histories
    profile: Floats
    attributes: Floats

    def __len__(self) -> int:
        return len(self.edges)

    @property
    def items(self) -> Indices:
        """(n,) numbers of the rated items."""
        return self.edges.items

    @property
    def whole(self) -> Bools:
        """(1, n): the whole history as a part."""
        return np.ones((1, len(self)), np.bool_)

    @property
    def liked(self) -> Bools:
        """(n,) which of the ratings are likes."""
        return self.rated.liked

    @property
    def disliked(self) -> Bools:
        """(n,) which of the ratings are dislikes; unary data have none."""
        scale = self.source.fitted.data
        if scale.is_implicit or self.rated.ratings is None:
            return np.zeros(len(self), np.bool_)
        low: Bools = self.edges.ratings <= np.float32(scale.dislike_from)
        return low

    def learned(self, placed: Floats) -> Floats:
        """(n_items,) what a vector of training (d,) scores more than fold-in of the same user."""
        found: Floats = self.source.fitted.served.item_vectors @ (
            placed - self.vectors(self.whole)[0]
        )
        return found

    def without_each(self) -> Bools:
        """(n, n): the history without its first rating, without its second, ..."""
        return ~np.eye(len(self), dtype=np.bool_)

    def parts(self, kept: Bools) -> "HistoryParts":
        """The user with parts of the history: which ratings (n_parts, n) each part keeps."""
        return HistoryParts(self, kept)

    def whole_and_without_each(self) -> "HistoryParts":
        """The whole history as a first part, and it without each of its ratings."""
        kept = np.concatenate([self.whole, self.without_each()])
        placing, scale = self.source.placing, self.source.fitted.data
        network = vectors_without_each(
            placing, self.edges, np.arange(len(self)), self.profile[None], scale
        )
        return HistoryParts(self, kept, network)

    def scores(self, kept: Bools, items: Indices | None = None) -> Floats:
        """(n_parts, n_items) scores of a folded-in user with parts of the history.

        Args:
            kept: (n_parts, n) which ratings each part keeps.
            items: that are scored; by default all.
        """
        return self.parts(kept).scores(items)

    def vectors(self, kept: Bools, network: Floats | None = None) -> Floats:
        """(n_parts, d) vectors, as `fold_in_users` gives them.

        Args:
            kept: (n_parts, n) which ratings each part keeps.
            network: (n_parts, d_network) the network's part, where it is known.
        """
        served = self.source.fitted.served
        weight = np.float32(served.weights[NETWORK])
        if network is None:
            network = self.source.network.vectors(self.profile, self.edges, kept)
        columns = [weight * network]
        columns += [
            np.float32(served.weights[name]) * self._component(one, kept)
            for name, one in served.components.items()
        ]
        return np.hstack(columns).astype(np.float32)

    def drops(self, items: Indices) -> Floats:
        """(n, n_items) how much lower each score were without each of the ratings."""
        found: Floats = self.scores(self.whole, items) - self.scores(self.without_each(), items)
        return found

    def contributions(self, items: Indices) -> Contributions:
        """What adds up to the folded-in scores of `items`."""
        served, own = self.source.fitted.served, self._network_width
        vectors = served.item_vectors[items]
        none = np.zeros(len(items), np.float32)
        ratings = np.zeros((len(self), len(items)), np.float32)
        attributes, time = none.copy(), none.copy()
        profile, popularity, joint = self._network_parts(vectors[:, :own], ratings)
        first = own
        for name, one in served.components.items():
            here = slice(first, first + one.items.shape[1])
            scored, weight = vectors[:, here].T, np.float32(served.weights[name])
            first = here.stop
            if isinstance(one, TemporalPopularity):
                time += weight * (self._component(one, self.whole) @ scored)[0]
                continue
            ratings += weight * (self._parts_of(one) @ scored)
            if isinstance(one, EaseComponent):
                attributes += weight * (_described(one, self.attributes) @ scored)
        if served.item_model is not None:
            if len(self):
                ratings += served.item_model.contributions(self.rated, items)
            popularity += self._prior(served.item_model)[items]
        return Contributions(
            ratings=ratings, profile=profile, attributes=attributes, popularity=popularity,
            time=time, joint=joint,
        )  # fmt: skip

    @property
    def _network_width(self) -> int:
        served = self.source.fitted.served
        others = sum(one.items.shape[1] for one in served.components.values())
        return int(served.item_vectors.shape[1] - others)

    def _network_parts(self, scored: Floats, ratings: Floats) -> tuple[Floats, Floats, Floats]:
        """Add the network's part to `ratings`; parts of profile, popularity, and the joint one."""
        source = self.source
        weight = np.float32(source.fitted.served.weights[NETWORK])
        width = source.network.width
        bias = weight * scored[:, width:].sum(1)
        messages = messages_of(source.placing, self.edges, self.profile[None], source.fitted.data)
        if messages is not None:
            parts, own = messages
            ratings += weight * (parts @ scored[:, :width].T)
            return weight * (own @ scored[:, :width].T), bias, np.zeros_like(bias)
        kept = np.concatenate([self.whole, np.zeros_like(self.whole), self.without_each()])
        scores = weight * (source.network.vectors(self.profile, self.edges, kept) @ scored.T)
        added = scores[0] - scores[2:]
        ratings += added
        return scores[1] - bias, bias, scores[0] - scores[1] - added.sum(0)

    def _component(self, one: object, kept: Bools) -> Floats:
        """(n_parts, d) the user's columns of a dot-product component."""
        if isinstance(one, EaseComponent | ResidualEase):
            columns = kept.astype(np.float32) @ self._parts_of(one)
            if isinstance(one, EaseComponent):
                columns += _described(one, self.attributes)
            return columns
        if isinstance(one, TemporalPopularity):
            windows = one.windows.counted(np.arange(len(self)), self.edges.times, len(self))
            counts = kept @ windows
            shares: Floats = (counts / np.maximum(counts.sum(1, keepdims=True), 1)).astype(
                np.float32
            )
            return shares
        assert isinstance(one, LightGcn)  # noqa: S101 - all of `base.COMPONENTS` are here
        received = self.faded(self.rated.weights, one.decay or 1.0, kept) @ one.messages[self.items]
        directed: Floats = received / _length(received, one.temperature)
        return directed

    @cached_property
    def _made(self) -> dict[int, Floats]:
        """The results of `_parts_of` by component."""
        return {}

    def _parts_of(self, one: object) -> Floats:
        """(n, d) what each rating adds to the user's columns; made once."""
        if id(one) not in self._made:
            self._made[id(one)] = self._made_of(one)
        return self._made[id(one)]

    def _made_of(self, one: object) -> Floats:
        if isinstance(one, EaseComponent):
            weights = target_weights(self.edges.ratings, one.config, one.data)
            weighted: Floats = weights[:, None] * one.rated[self.items]
            return weighted
        if isinstance(one, ResidualEase):
            above = residuals(self.edges, one.item_means, one.data)
            moved: Floats = above[:, None] * one.rated[self.items]
            return moved
        assert isinstance(one, LightGcn)  # noqa: S101 - the others are no sums of ratings
        weights = self.faded(self.rated.weights, one.decay or 1.0, self.whole)[0]
        parts = weights[:, None] * one.messages[self.items]
        found: Floats = parts / _length(parts.sum(0, keepdims=True), one.temperature)
        return found

    def _prior(self, model: ItemToItemModel) -> Floats:
        if len(self):
            return model.prior
        return model.described_newcomers if self.by_attributes else model.newcomers

    @property
    def by_attributes(self) -> bool:
        """As `score_sum.item_scores`: attributes rank for users without ratings."""
        return self.source.fitted.graph.attributes is not None

    def faded(self, values: Floats, decay: float, kept: Bools) -> Floats:
        """(n_parts, n) values of the ratings kept, each fading with every later one that is."""
        found: Floats = kept.astype(np.float32) * values.astype(np.float32)
        if decay == 1.0 or self.rated.order is None or not len(self):
            return found
        latest = self._latest_first
        ordered = kept[:, latest].astype(np.float32)
        fading = np.empty_like(found)
        fading[:, latest] = np.float32(decay) ** (np.cumsum(ordered, axis=1) - ordered)
        faded: Floats = found * fading
        return faded

    @cached_property
    def _latest_first(self) -> Indices:
        order = self.rated.order
        assert order is not None  # noqa: S101 - asked for only where there is one
        return np.lexsort((-np.arange(len(self)), -order))


@dataclass(frozen=True)
class HistoryParts:
    """A user with parts of the history; vectors and inputs are made once, scores as asked.

    Attributes:
        history: the user.
        kept: (n_parts, n) which ratings each part keeps.
        network: (n_parts, d_network) the network's part of the vectors; None where it is not known.
    """

    history: UserHistory
    kept: Bools
    network: Floats | None = None

    @cached_property
    def vectors(self) -> Floats:
        """(n_parts, d) as `fold_in_users` gives them."""
        return self.history.vectors(self.kept, self.network)

    @cached_property
    def _inputs(self) -> dict[HistoryInput, Floats]:
        """(n_parts, n) what item-to-item maps read, by input."""
        model = self.history.source.fitted.served.item_model
        if model is None:
            return {}
        rows, own = model.rows(self.history.rated), self.history
        return {
            wanted: own.faded(rows.values(replace(wanted, decay=1.0)), wanted.decay, self.kept)
            for wanted in {**model.maps, **model.low_rank}
        }

    def scores(self, items: Indices | None = None, which: Indices | None = None) -> Floats:
        """(n_which, n_items) scores.

        Args:
            items: that are scored; by default all.
            which: parts that are asked for; by default all.
        """
        served = self.history.source.fitted.served
        places = slice(None) if items is None else items
        rows = slice(None) if which is None else which
        total: Floats = self.vectors[rows] @ served.item_vectors[places].T
        if served.item_model is not None:
            total += self._mapped(served.item_model, places, rows)
        return total

    def _mapped(
        self, model: ItemToItemModel, places: slice | Indices, which: slice | Indices
    ) -> Floats:
        rated_items = self.history.items
        total = np.repeat(model.prior[places][None], len(self.kept[which]), axis=0)
        for wanted, (rated, scored) in model.low_rank.items():
            total += (self._inputs[wanted][which] @ rated[rated_items]) @ scored[places].T
        for wanted, weights in model.maps.items():
            values, cells = self._inputs[wanted][which], weights[rated_items]
            if isinstance(places, slice):
                total += _product(values, cells)
            else:
                total += values @ cells[:, places].toarray()
        empty = ~self.kept[which].any(1)
        alone = model.described_newcomers if self.history.by_attributes else model.newcomers
        total[empty] = alone[places]
        return total.astype(np.float32, copy=False)


def _described(one: EaseComponent, attributes: Floats) -> Floats:
    """(rank,) what the user's attributes add."""
    if not len(attributes) or not len(one.described):
        return np.zeros(one.items.shape[1], np.float32)
    found: Floats = attributes @ one.described
    return found


def _length(received: Floats, temperature: float) -> Floats:
    lengths = np.linalg.norm(received, axis=1, keepdims=True)
    found: Floats = np.maximum(lengths, 1e-12) * np.float32(temperature)
    return found


def _product(values: Floats, cells: sparse.csr_matrix) -> Floats:
    dense: Floats = np.asarray((cells.T @ values.T).T, np.float32)
    return dense
