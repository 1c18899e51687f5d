"""Every component that may stand in the sum: what it needs, what is tried, how it is fitted."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final, Literal

import numpy as np
from scipy import sparse

from recsys_core.graph.components.effort import Budget
from recsys_core.graph.components.exact_ease import exact_ease, smaller_side
from recsys_core.graph.components.histories import (
    Histories,
    HistoryInput,
    InputRows,
    UsualRatings,
)
from recsys_core.graph.components.item_maps import FittedMap, ItemPrior, LowRankMap, SparseMap
from recsys_core.graph.components.local_ease import local_ridge
from recsys_core.graph.components.low_rank import implicit_als, low_pass
from recsys_core.graph.components.neighbour_lists import (
    NeighbourLists,
    cooccurrences,
    with_kernel,
)
from recsys_core.graph.components.neighbourhoods import feature_neighbours, one_hop, user_knn
from recsys_core.graph.components.recent_popularity import popularity, recent_popularity
from recsys_core.graph.components.sparse_products import largest_of_rows
from recsys_core.graph.components.transitions import directed_transitions, past_to_future
from recsys_core.graph.interaction_graph import Floats

Settings = Mapping[str, float]

_PRIOR: Final = 5.0
"""Ratings of the mean of all that every item has in advance when deviations are measured."""
_FEATURE_NEIGHBOURS: Final = 50
"""Items of the nearest features that are looked at per item."""
DECAY: Final = "decay"
"""The setting that belongs to the input of a component, not to its fit."""


class Need(StrEnum):
    """What data a component cannot do without; the value says so when they lack it."""

    ORDER = "an order of each user's ratings (timestamps or positions)"
    TIMES = "the times of the ratings"
    RATINGS = "ratings that differ"
    FEATURES = "features of the items"
    MEMORY = "memory and effort for the inverse of items by items, or users by users"


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Values of a parameter, of which a search tries some.

    Attributes:
        values: ascending; the search begins in the middle.
        geometric: whether it may try half a rung beside the best one (the geometric mean).
        whole: whether values between are rounded.
    """

    values: tuple[float, ...]
    geometric: bool = False
    whole: bool = False

    def some(self, most: int) -> tuple[float, ...]:
        """At most so many values, from the middle outwards."""
        middle = (len(self.values) - 1) / 2
        nearest = sorted(range(len(self.values)), key=lambda place: (abs(place - middle), place))
        return tuple(self.values[place] for place in nearest[:most])


LAMBDA: Final = Ladder(values=(2.5, 10.0, 40.0, 160.0, 640.0), geometric=True)
"""Regularisation of the local regressions."""
_Solve = Callable[[list[float]], list[sparse.csr_matrix]]


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

        A search solves the first lambdas of the ladder in one pass: the small Gram matrices cost
        several times what their solutions do. The maps of the last key are kept.

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
            first = LAMBDA.some(self.budget.values) if self.searching and not known else ()
            lambdas = sorted({strength, *first})
            known.update(zip(lambdas, solve(lambdas), strict=True))
        return known[strength]

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


@dataclass(frozen=True, kw_only=True)
class Component:
    """A component.

    Attributes:
        fit: from data and settings to the map.
        grid: parameter -> values that are tried, in the order in which they are searched.
        needs: what the data must have.
        decays: whether its history may decay, and with which others it shares the decay: `sets`
            of items that go together, or `sequences`.
        beside: whether its settings are judged in a sum with the best component, because it is
            not meant to rank items alone.
        cost: passes over the interactions that a fit is worth.
    """

    fit: Callable[[FitData, Settings], FittedMap]
    grid: Mapping[str, Ladder] = field(default_factory=dict)
    needs: frozenset[Need] = frozenset()
    decays: Literal["sets", "sequences"] | None = None
    beside: bool = False
    cost: int = 1


def input_of(settings: Settings) -> HistoryInput:
    """The input of rating weights that the settings ask for."""
    return HistoryInput(decay=settings.get(DECAY, 1.0))


def scaled_rows(matrix: sparse.csr_matrix, power: float) -> sparse.csr_matrix:
    """Rows divided by their number of entries to a power: users with few ratings count for more."""
    if not power:
        return matrix
    sizes = np.maximum(np.diff(matrix.indptr), 1).astype(np.float32) ** np.float32(-power)
    return sparse.csr_matrix(sparse.diags(sizes) @ matrix, dtype=np.float32)


def _local_ease(data: FitData, settings: Settings) -> FittedMap:
    def solve(lambdas: list[float]) -> list[sparse.csr_matrix]:
        lists = data.lists(settings.get("row_power", 0.0))
        if "likeness" in settings:
            kernel = data.alike.copy()
            kernel.data = np.exp((kernel.data - 1.0) * np.float32(settings["sharpness"]))
            lists = with_kernel(lists, kernel, settings["likeness"])
        return local_ridge(lists, lambdas, size=int(settings["neighbours"]))

    found = data.ridge(_key("weights", settings), settings, solve)
    return _sparse(data, input_of(settings), found)


def _key(kind: str, settings: Settings) -> Hashable:
    """Everything that a ridge depends on but lambda."""
    others = {name: value for name, value in settings.items() if name not in ("lambda", DECAY)}
    return kind, tuple(sorted(others.items()))


def _exact_ease(data: FitData, settings: Settings) -> FittedMap:
    found = exact_ease(data.weights, settings["lambda"], data.budget.row)
    return _sparse(data, input_of(settings), found)


def _deviation_ease(data: FitData, settings: Settings) -> FittedMap:
    wanted = HistoryInput(kind="deviations")

    def solve(lambdas: list[float]) -> list[sparse.csr_matrix]:
        lists = cooccurrences(data.rows.matrix(wanted), data.budget.width)
        return local_ridge(lists, lambdas, size=int(settings["neighbours"]))

    return _sparse(data, wanted, data.ridge(_key("deviations", settings), settings, solve))


def _user_knn(data: FitData, settings: Settings) -> FittedMap:
    return _sparse(data, input_of(settings), user_knn(data.weights, data.budget.row))


def _one_hop(data: FitData, settings: Settings) -> FittedMap:
    return _sparse(data, input_of(settings), one_hop(data.weights, data.budget.row))


def _low_pass(data: FitData, settings: Settings) -> FittedMap:
    rated, scored = low_pass(data.weights, int(settings["rank"]), seed=data.seed)
    return LowRankMap(input=input_of(settings), rated=rated, scored=scored)


def _als(data: FitData, settings: Settings) -> FittedMap:
    rated, scored = implicit_als(
        data.weights,
        factors=int(settings["factors"]),
        alpha=settings["alpha"],
        strength=settings["lambda"],
        iterations=int(settings["iterations"]),
        seed=data.seed,
    )
    return LowRankMap(input=input_of(settings), rated=rated, scored=scored)


def _transitions(data: FitData, settings: Settings) -> FittedMap:
    found = directed_transitions(
        data.histories,
        steps=int(settings["steps"]),
        decay=settings["step_decay"],
        backward=settings["backward"],
        power=settings["power"],
    )
    return _sparse(data, input_of(settings), found)


def _past_to_future(data: FitData, settings: Settings) -> FittedMap:
    def solve(lambdas: list[float]) -> list[sparse.csr_matrix]:
        return past_to_future(
            data.histories,
            lambdas,
            decay=settings["step_decay"],
            size=int(settings["neighbours"]),
            width=data.budget.width,
        )

    found = data.ridge(_key("past_to_future", settings), settings, solve)
    return _sparse(data, input_of(settings), found)


def _feature_neighbours(data: FitData, settings: Settings) -> FittedMap:
    found = data.alike.copy()
    found.data **= np.float32(settings["sharpness"])
    popular = popularity(data.histories, settings["popularity"]) if settings["popularity"] else 1.0
    scaled = sparse.csr_matrix(found @ sparse.diags(popular * np.ones(found.shape[1], np.float32)))
    return _sparse(data, input_of(settings), scaled)


def _popularity(data: FitData, settings: Settings) -> FittedMap:
    return ItemPrior(values=popularity(data.histories, settings["power"]))


def _recent_popularity(data: FitData, settings: Settings) -> FittedMap:
    values = recent_popularity(data.histories, settings["half_life"], settings["power"])
    return ItemPrior(values=values)


def _sparse(data: FitData, wanted: HistoryInput, found: sparse.csr_matrix) -> SparseMap:
    cut = largest_of_rows(sparse.csr_matrix(found, dtype=np.float32), data.budget.row)
    return SparseMap(input=wanted, weights=cut)


_NEIGHBOURS: Final = Ladder(values=(25.0, 50.0, 100.0), geometric=True, whole=True)
_ROW_POWER: Final = Ladder(values=(0.25, 0.5))

COMPONENTS: Final[Mapping[str, Component]] = {
    "local_ease": Component(
        fit=_local_ease, grid={"lambda": LAMBDA, "neighbours": _NEIGHBOURS}, decays="sets"
    ),
    "local_ease_scaled": Component(
        fit=_local_ease,
        grid={"row_power": _ROW_POWER, "lambda": LAMBDA, "neighbours": _NEIGHBOURS},
        decays="sets",
    ),
    "exact_ease": Component(
        fit=_exact_ease,
        grid={"lambda": Ladder(values=(12.5, 50.0, 200.0, 800.0, 3200.0), geometric=True)},
        needs=frozenset({Need.MEMORY}),
        decays="sets",
    ),
    "local_ease_features": Component(
        fit=_local_ease,
        grid={
            "lambda": LAMBDA,
            "likeness": Ladder(values=(10.0, 40.0, 160.0), geometric=True),
            "sharpness": Ladder(values=(1.5, 3.0, 6.0), geometric=True),
            "neighbours": Ladder(values=(50.0,)),
        },
        needs=frozenset({Need.FEATURES}),
        decays="sets",
    ),
    "user_knn": Component(fit=_user_knn, decays="sets"),
    "one_hop": Component(fit=_one_hop, decays="sets"),
    "transitions": Component(
        fit=_transitions,
        grid={
            "power": Ladder(values=(0.0, 0.25, 0.5)),
            "steps": Ladder(values=(3.0, 6.0, 12.0)),
            "step_decay": Ladder(values=(0.4, 0.6, 0.8)),
            "backward": Ladder(values=(0.1, 0.3, 0.6)),
        },
        needs=frozenset({Need.ORDER}),
        decays="sequences",
    ),
    "past_to_future": Component(
        fit=_past_to_future,
        grid={
            "lambda": LAMBDA,
            "step_decay": Ladder(values=(0.4, 0.6, 0.8)),
            "neighbours": Ladder(values=(50.0,)),
        },
        needs=frozenset({Need.ORDER}),
        decays="sets",
        cost=4,
    ),
    "low_pass": Component(
        fit=_low_pass, grid={"rank": Ladder(values=(64.0, 128.0, 256.0))}, decays="sets", cost=4
    ),
    "als": Component(
        fit=_als,
        grid={
            "alpha": Ladder(values=(1.0, 5.0, 20.0), geometric=True),
            "factors": Ladder(values=(64.0, 128.0, 256.0)),
            "lambda": Ladder(values=(1.0, 10.0)),
            "iterations": Ladder(values=(15.0,)),
        },
        decays="sets",
        cost=20,
    ),
    "deviation_ease": Component(
        fit=_deviation_ease,
        grid={"lambda": LAMBDA, "neighbours": _NEIGHBOURS},
        needs=frozenset({Need.RATINGS}),
        beside=True,
    ),
    "feature_neighbours": Component(
        fit=_feature_neighbours,
        grid={
            "sharpness": Ladder(values=(2.0, 4.0, 8.0), geometric=True),
            "popularity": Ladder(values=(0.0, 0.25, 0.5)),
        },
        needs=frozenset({Need.FEATURES}),
        decays="sets",
        beside=True,
    ),
    "popularity": Component(
        fit=_popularity, grid={"power": Ladder(values=(0.25, 0.5, 1.0))}, beside=True
    ),
    "recent_popularity": Component(
        fit=_recent_popularity,
        grid={
            "half_life": Ladder(
                values=tuple(2.0**-power for power in range(9, 0, -2)), geometric=True
            ),
            "power": Ladder(values=(0.25, 0.5, 1.0)),
        },
        needs=frozenset({Need.TIMES}),
        beside=True,
    ),
}
"""By name, in the order in which they are searched: the first ones are what others are judged
beside."""
DECAYS: Final[Mapping[str, tuple[float, ...]]] = {
    "sets": (1.0, 0.9, 0.75, 0.5),
    "sequences": (0.75, 0.5, 0.3),
}
"""Decays that the first component of each kind tries; the others of the kind take its choice, so
that the served model reads few inputs."""
