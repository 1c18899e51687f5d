"""What users rated, as the rows that item-to-item components read.

A component scores a user by a product, history row @ item-to-item matrix. Which number an item has
in the row is its `HistoryInput`: the rating's weight, that weight fading with every later rating,
or how far the rating lies above the item's usual one.
"""

import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys_core.errors import DataError
from recsys_core.graph.interaction_graph import Edges, Floats, Indices
from recsys_core.interactions.order import Times

Bools = npt.NDArray[np.bool_]

InputKind = Literal["weights", "deviations"]
KINDS: Final[tuple[InputKind, ...]] = get_args(InputKind)
_DECAY: Final = "_decay_"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Histories:
    """Rated pairs; each array has an entry per pair.

    Attributes:
        users: (n,) numbers of the users.
        items: (n,) numbers of the items.
        weights: (n,) what the rating counts as: 1 for liked or unary, less for neutral, 0 for
            disliked.
        liked: (n,) whether the item is relevant.
        shape: numbers of users and of items.
        ratings: (n,) the ratings; None where they say nothing (unary data).
        order: (n,) sorts the pairs of one user, the latest highest; None where unknown.
        times: (n,) Unix seconds, comparable between users; None where unknown.
    """

    users: Indices
    items: Indices
    weights: Floats
    liked: Bools
    shape: tuple[int, int]
    ratings: Floats | None = None
    order: Times | None = None
    times: Times | None = None

    def __post_init__(self) -> None:
        for name in ("items", "weights", "liked", "ratings", "order", "times"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.users):
                raise DataError(
                    f"Histories of {len(self.users)} pairs have {len(values)} {name}.",
                    expected="one entry per pair in every array.",
                )

    @classmethod
    def from_edges(
        cls, edges: Edges, shape: tuple[int, int], *, weights: Floats, like_from: float
    ) -> Self:
        """The rated pairs of a graph.

        Ratings that are all alike say nothing: such pairs are unary, and all of them liked. The
        order and the times are known only where every pair has a time.
        """
        alike = edges.are_alike
        timed = len(edges) > 0 and bool(np.isfinite(edges.times).all())
        return cls(
            users=edges.users,
            items=edges.items,
            weights=np.ones(len(edges), np.float32) if alike else weights,
            liked=np.ones(len(edges), np.bool_) if alike else edges.ratings >= like_from,
            shape=shape,
            ratings=None if alike else edges.ratings,
            order=edges.times if timed else None,
            times=edges.times if timed else None,
        )

    def __len__(self) -> int:
        return len(self.users)

    def matrix(self, values: Floats) -> sparse.csr_matrix:
        """(n_users, n_items) of `values` (n,), without the zeros."""
        found = sparse.csr_matrix((values, (self.users, self.items)), self.shape, np.float32)
        found.eliminate_zeros()
        return found

    def seen(self) -> sparse.csr_matrix:
        """(n_users, n_items) with a 1 for every rated pair."""
        return self.matrix(np.ones(len(self), np.float32))

    def relevant(self) -> sparse.csr_matrix:
        """(n_users, n_items) with a 1 for every liked pair."""
        return self.matrix(self.liked.astype(np.float32))

    def ages(self) -> Indices:
        """(n,) how many pairs of the same user are later; those of equal order as they stand.

        Raises:
            DataError: the order is unknown.
        """
        if self.order is None:
            raise DataError(
                "The order of the ratings is unknown, so they have no age.",
                fix="give a column of timestamps or positions, or use inputs that do not decay.",
            )
        latest_first = np.lexsort((-np.arange(len(self)), -self.order, self.users))
        users = self.users[latest_first]
        begins = np.searchsorted(users, users, side="left")
        ages = np.empty(len(self), np.int64)
        ages[latest_first] = np.arange(len(self)) - begins
        return ages

    def joined(self, later: "Histories") -> "Histories":
        """These pairs and then those of `later`; an array that one of both lacks is None."""
        if self.shape != later.shape:
            raise DataError(
                f"Histories of {self.shape} and {later.shape} users and items cannot be joined.",
                expected="the same users and items in both.",
            )
        return Histories(shape=self.shape, **_joined(_arrays(self), _arrays(later)))

    def where(self, which: Bools | Indices) -> "Histories":
        """The pairs where a mask (n,) is true, or those at given places."""
        arrays: _Arrays = {
            name: None if values is None else values[which]
            for name, values in _arrays(self).items()
        }
        return Histories(shape=self.shape, **arrays)

    def of_users(self, users: Indices) -> "Histories":
        """The pairs of some users, each given once, who are renumbered 0 .. len(users) - 1."""
        numbers = np.full(self.shape[0], -1, np.int64)
        numbers[users] = np.arange(len(users))
        kept = self.where(numbers[self.users] >= 0)
        arrays = _arrays(kept) | {"users": numbers[kept.users]}
        return Histories(shape=(len(users), self.shape[1]), **arrays)


_ARRAYS = ("users", "items", "weights", "liked", "ratings", "order", "times")
_Arrays = dict[str, Any]


def _arrays(histories: Histories) -> _Arrays:
    return {name: getattr(histories, name) for name in _ARRAYS}


def _joined(first: _Arrays, second: _Arrays) -> _Arrays:
    return {
        name: None if values is None or other is None else np.concatenate([values, other])
        for (name, values), other in zip(first.items(), second.values(), strict=True)
    }


@dataclass(frozen=True, kw_only=True)
class HistoryInput:
    """Which number a rated item has in a user's row.

    Attributes:
        kind: `weights` of the ratings, or `deviations` of the ratings from the usual ones.
        decay: factor for every later rating of the user; 1 keeps the weights.
    """

    kind: InputKind = "weights"
    decay: float = 1.0

    @property
    def name(self) -> str:
        """As it stands in tables and reports."""
        return self.kind if self.decay == 1.0 else f"{self.kind}{_DECAY}{self.decay:g}"

    @classmethod
    def named(cls, name: str) -> Self:
        """The input of a name."""
        kind, _, decay = name.partition(_DECAY)
        if kind not in KINDS:
            raise DataError(
                f"No input of histories is called {name!r}.", expected=f"one of {', '.join(KINDS)}."
            )
        return cls(kind=kind, decay=float(decay or 1.0))


@dataclass(frozen=True, kw_only=True)
class UsualRatings:
    """What items are rated as a rule.

    Attributes:
        values: (n_items,) mean ratings, drawn towards the mean of all.
        spread: standard deviation of all ratings, the unit that deviations are counted in.
    """

    values: Floats
    spread: float

    @classmethod
    def of(cls, histories: Histories, prior: float) -> "UsualRatings | None":
        """Means of the items, each with `prior` ratings of the mean of all; None for unary data."""
        ratings = histories.ratings
        if ratings is None or not len(ratings):
            return None
        overall, n_items = float(ratings.mean(dtype=np.float64)), histories.shape[1]
        above = np.bincount(histories.items, ratings - overall, minlength=n_items)
        counts = np.bincount(histories.items, minlength=n_items)
        values = (overall + above / (counts + prior)).astype(np.float32)
        return cls(values=values, spread=float(ratings.std(dtype=np.float64)) or 1.0)


@dataclass(frozen=True, kw_only=True)
class InputRows:
    """Rows of users for each input, made once.

    Attributes:
        histories: the rated pairs.
        usual: what deviations are measured from; None where no component reads deviations.
    """

    histories: Histories
    usual: UsualRatings | None = None
    _made: dict[HistoryInput, sparse.csr_matrix] = field(default_factory=dict, repr=False)

    def matrix(self, wanted: HistoryInput) -> sparse.csr_matrix:
        """(n_users, n_items) of one input."""
        if wanted not in self._made:
            self._made[wanted] = self.histories.matrix(self.values(wanted))
        return self._made[wanted]

    @cached_property
    def seen(self) -> sparse.csr_matrix:
        """(n_users, n_items) with a 1 for every rated pair."""
        return self.histories.seen()

    def values(self, wanted: HistoryInput) -> Floats:
        """(n,) the number of every rated pair.

        Users without an order, or without ratings, are scored by what is known of them: their
        weights do not decay, and nothing deviates. A warning says so.
        """
        values = self.histories.weights
        if wanted.kind == "deviations":
            values = self._deviations()
        if wanted.decay != 1.0 and len(values):
            values = values * self._fading(wanted)
        return values.astype(np.float32)

    def _fading(self, wanted: HistoryInput) -> Floats:
        if self.histories.order is None:
            _log.warning("Input %s: no order of the ratings is known, none decays.", wanted.name)
            return np.ones(len(self.histories), np.float32)
        fading: Floats = np.float32(wanted.decay) ** self.histories.ages()
        return fading

    def _deviations(self) -> Floats:
        if self.usual is None or self.histories.ratings is None:
            _log.warning("Input deviations: no ratings are known, none deviates from the usual.")
            return np.zeros(len(self.histories), np.float32)
        above = self.histories.ratings - self.usual.values[self.histories.items]
        deviations: Floats = above / np.float32(self.usual.spread)
        return deviations
