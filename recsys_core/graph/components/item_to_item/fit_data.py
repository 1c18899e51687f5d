"""What components are fitted on, and what several of them need, computed once."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

import numpy as np
from scipy import sparse

from recsys_core.graph.components.effort import Budget
from recsys_core.graph.components.histories import (
    Histories,
    HistoryInput,
    InputRows,
    UsualRatings,
)
from recsys_core.graph.components.item_to_item.exact_ease import smaller_side
from recsys_core.graph.components.item_to_item.neighbour_lists import NeighbourLists, cooccurrences
from recsys_core.graph.components.item_to_item.neighbourhoods import feature_neighbours
from recsys_core.graph.components.settings import LAMBDA, Settings
from recsys_core.graph.interaction_graph import Floats

_PRIOR: Final = 5.0
"""Ratings of the mean of all that every item has in advance when deviations are measured."""
_FEATURE_NEIGHBOURS: Final = 50
"""Items of the nearest features that are looked at per item."""
_Solve = Callable[[list[float]], list[sparse.csr_matrix]]


class Need(StrEnum):
    """What data a component cannot do without; the value says so when they lack it."""

    ORDER = "an order of each user's ratings (timestamps or positions)"
    TIMES = "the times of the ratings"
    RATINGS = "ratings that differ"
    FEATURES = "features of the items"
    MEMORY = "memory and effort for the inverse of items by items, or users by users"


@dataclass(frozen=True, kw_only=True)
class FitData:
    """What components are fitted on; what several of them need is computed once.

    Attributes:
        histories: the rated pairs.
        features: (n_items, d) what items are known by; None for nothing.
        budget: of the effort.
        memory: bytes that one fit may take.
        seed: of every random choice.
        searching: whether several lambdas of a ridge will be asked for.
    """

    histories: Histories
    features: Floats | None
    budget: Budget
    memory: int
    seed: int
    searching: bool = False
    _ridges: dict[Hashable, dict[float, sparse.csr_matrix]] = field(
        default_factory=dict, repr=False
    )
    _lists: dict[float, NeighbourLists] = field(default_factory=dict, repr=False)

    @cached_property
    def usual(self) -> UsualRatings | None:
        """What deviations are measured from; None for unary data."""
        return UsualRatings.of(self.histories, _PRIOR)

    @cached_property
    def rows(self) -> InputRows:
        """The users' rows for every input."""
        return InputRows(histories=self.histories, usual=self.usual)

    @property
    def weights(self) -> sparse.csr_matrix:
        """(n_users, n_items) rating weights."""
        return self.rows.matrix(HistoryInput())

    def lists(self, power: float) -> NeighbourLists:
        """Neighbours of items, on rows divided by the user's number of ratings to a power."""
        if power not in self._lists:
            self._lists[power] = cooccurrences(scaled_rows(self.weights, power), self.budget.width)
        return self._lists[power]

    def ridge(self, key: Hashable, settings: Settings, solve: _Solve) -> sparse.csr_matrix:
        """The map of one lambda.

        A search solves the first lambdas of the ladder in one pass, and so the two beside the best
        one: the small Gram matrices cost several times what their solutions do. The maps of the
        last key are kept.

        Args:
            key: everything but lambda that the map depends on.
            settings: with `lambda`.
            solve: lambdas -> maps.
        """
        strength = settings["lambda"]
        if key not in self._ridges:
            self._ridges.clear()
            self._ridges[key] = {}
        known = self._ridges[key]
        if strength not in known:
            lambdas = sorted({strength, *self._also_asked(strength, first=not known)})
            known.update(zip(lambdas, solve(lambdas), strict=True))
        return known[strength]

    def _also_asked(self, strength: float, *, first: bool) -> tuple[float, ...]:
        """Lambdas that a search will ask for after this one."""
        if not self.searching:
            return ()
        if strength in LAMBDA.values:
            return LAMBDA.some(self.budget.values) if first else ()
        # Half a rung below the best one is tried before half a rung above it.
        return (strength * LAMBDA.values[1] / LAMBDA.values[0],)

    @cached_property
    def alike(self) -> sparse.csr_matrix:
        """(n_items, n_items) cosines of the nearest features."""
        assert self.features is not None  # noqa: S101 - `lacks` has said so
        return feature_neighbours(self.features, _FEATURE_NEIGHBOURS)

    def lacks(self) -> set[Need]:
        """The needs that these data do not meet."""
        histories = self.histories
        side = smaller_side(histories.shape)
        fits = side <= self.budget.exact and 16 * side**2 <= self.memory
        there = {
            Need.ORDER: histories.order is not None,
            Need.TIMES: histories.times is not None and bool(np.ptp(histories.times) > 0),
            Need.RATINGS: self.usual is not None,
            Need.FEATURES: self.features is not None and bool(self.features.any()),
            Need.MEMORY: fits,
        }
        return {need for need, met in there.items() if not met}


def scaled_rows(matrix: sparse.csr_matrix, power: float) -> sparse.csr_matrix:
    """Rows divided by their number of entries to a power: users with few ratings count for more."""
    if not power:
        return matrix
    sizes = np.maximum(np.diff(matrix.indptr), 1).astype(np.float32) ** np.float32(-power)
    return sparse.csr_matrix(sparse.diags(sizes) @ matrix, dtype=np.float32)
