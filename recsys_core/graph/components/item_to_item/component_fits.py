"""How each item-to-item component is fitted: from data and settings to a map."""

from collections.abc import Hashable

import numpy as np
from scipy import sparse

from recsys_core.graph.components.histories import HistoryInput
from recsys_core.graph.components.item_maps import FittedMap, ItemPrior, LowRankMap, SparseMap
from recsys_core.graph.components.item_to_item.exact_ease import exact_ease
from recsys_core.graph.components.item_to_item.fit_data import FitData
from recsys_core.graph.components.item_to_item.local_ease import local_ridge
from recsys_core.graph.components.item_to_item.low_rank import implicit_als, low_pass
from recsys_core.graph.components.item_to_item.neighbour_lists import cooccurrences, with_kernel
from recsys_core.graph.components.item_to_item.neighbourhoods import one_hop, user_knn
from recsys_core.graph.components.item_to_item.recent_popularity import (
    popularity,
    recent_popularity,
)
from recsys_core.graph.components.item_to_item.transitions import (
    directed_transitions,
    past_to_future,
)
from recsys_core.graph.components.settings import DECAY, Settings
from recsys_core.graph.components.sparse_products import largest_of_rows


def input_of(settings: Settings) -> HistoryInput:
    """The input of rating weights that the settings ask for."""
    return HistoryInput(decay=settings.get(DECAY, 1.0))


def fit_local_ease(data: FitData, settings: Settings) -> FittedMap:
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


def fit_exact_ease(data: FitData, settings: Settings) -> FittedMap:
    found = exact_ease(data.weights, settings["lambda"], data.budget.row)
    return _sparse(data, input_of(settings), found)


def fit_deviation_ease(data: FitData, settings: Settings) -> FittedMap:
    wanted = HistoryInput(kind="deviations")

    def solve(lambdas: list[float]) -> list[sparse.csr_matrix]:
        lists = cooccurrences(data.rows.matrix(wanted), data.budget.width)
        return local_ridge(lists, lambdas, size=int(settings["neighbours"]))

    return _sparse(data, wanted, data.ridge(_key("deviations", settings), settings, solve))


def fit_user_knn(data: FitData, settings: Settings) -> FittedMap:
    return _sparse(data, input_of(settings), user_knn(data.weights, data.budget.row))


def fit_one_hop(data: FitData, settings: Settings) -> FittedMap:
    return _sparse(data, input_of(settings), one_hop(data.weights, data.budget.row))


def fit_low_pass(data: FitData, settings: Settings) -> FittedMap:
    # With as many directions as there are items the map gives the history back, and nothing else.
    rank = min(int(settings["rank"]), max(1, min(data.weights.shape) // 2))
    rated, scored = low_pass(data.weights, rank, seed=data.seed)
    return LowRankMap(input=input_of(settings), rated=rated, scored=scored)


def fit_als(data: FitData, settings: Settings) -> FittedMap:
    rated, scored = implicit_als(
        data.weights,
        factors=int(settings["factors"]),
        alpha=settings["alpha"],
        strength=settings["lambda"],
        iterations=int(settings["iterations"]),
        seed=data.seed,
    )
    return LowRankMap(input=input_of(settings), rated=rated, scored=scored)


def fit_transitions(data: FitData, settings: Settings) -> FittedMap:
    found = directed_transitions(
        data.histories,
        steps=int(settings["steps"]),
        decay=settings["step_decay"],
        backward=settings["backward"],
        power=settings["power"],
    )
    return _sparse(data, input_of(settings), found)


def fit_past_to_future(data: FitData, settings: Settings) -> FittedMap:
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


def fit_feature_neighbours(data: FitData, settings: Settings) -> FittedMap:
    found = data.alike.copy()
    found.data **= np.float32(settings["sharpness"])
    popular = popularity(data.histories, settings["popularity"]) if settings["popularity"] else 1.0
    scaled = sparse.csr_matrix(found @ sparse.diags(popular * np.ones(found.shape[1], np.float32)))
    return _sparse(data, input_of(settings), scaled)


def fit_popularity(data: FitData, settings: Settings) -> FittedMap:
    return ItemPrior(values=popularity(data.histories, settings["power"]))


def fit_recent_popularity(data: FitData, settings: Settings) -> FittedMap:
    values = recent_popularity(data.histories, settings["half_life"], settings["power"])
    return ItemPrior(values=values)


def _sparse(data: FitData, wanted: HistoryInput, found: sparse.csr_matrix) -> SparseMap:
    cut = largest_of_rows(sparse.csr_matrix(found, dtype=np.float32), data.budget.row)
    return SparseMap(input=wanted, weights=cut)
