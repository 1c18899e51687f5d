"""Choose the settings and the weights of all components on validation, then fit their sum.

    found = search_components(train, valid, features=..., k=10, effort="standard")
    learned = found.learn_weights(external={"network": Vectors(...)})
    model = found.refit(train.joined(valid), learned, features=...)

Every component that the data allow is fitted on the training rows under settings that are chosen
on the validation rows; the weights of the sum are learned on the same rows, and may be zero; then
the components with a weight are fitted anew with the chosen settings.
"""

import logging
import math
import time
from dataclasses import replace
from typing import Final

import numpy as np

from recsys_core.graph.components.effort import BUDGETS, Effort, validation_users
from recsys_core.graph.components.histories import Histories
from recsys_core.graph.components.item_maps import FittedMap, ItemPrior
from recsys_core.graph.components.item_to_item.component_fits import input_of
from recsys_core.graph.components.item_to_item.component_table import COMPONENTS, Component
from recsys_core.graph.components.item_to_item.fit_data import FitData
from recsys_core.graph.components.selection.candidate_pool import (
    Target,
    ndcg_of,
    target_of,
)
from recsys_core.graph.components.selection.grid_search import (
    ChosenSettings,
    choose_settings,
    decays_of,
)
from recsys_core.graph.components.selection.refit import MEMORY
from recsys_core.graph.components.selection.search_result import ComponentSearch, beside
from recsys_core.graph.components.settings import DECAY, Settings
from recsys_core.graph.interaction_graph import Floats

_log = logging.getLogger(__name__)

_PER_ITEM: Final = 50
"""Interactions that an item is worth when the fits of a component are counted: a local regression
costs as much as so many."""


def search_components(
    train: Histories,
    valid: Histories,
    *,
    features: Floats | None = None,
    k: int = 10,
    effort: Effort = "standard",
    seed: int = 0,
    memory: int = MEMORY,
) -> ComponentSearch:
    """Fit every component that the data allow, its settings chosen on validation.

    Args:
        train: rows to learn from, and to score users by.
        valid: later or held-out rows of the same users and items.
        features: (n_items, d) what items are known by.
        k: cut-off of the NDCG that everything is chosen by.
        effort: names the budget (`effort.BUDGETS`).
        seed: of every random choice.
        memory: bytes that one fit may take.
    """
    budget = BUDGETS[effort]
    data = FitData(
        histories=train,
        features=features,
        budget=budget,
        memory=memory,
        seed=seed,
        searching=True,
    )
    why = _nothing_to_learn(train, valid)
    if why:
        every = dict.fromkeys(COMPONENTS, why)
        return ComponentSearch(
            data=data,
            effort=effort,
            target=None,
            newcomers=None,
            fitted={},
            chosen={},
            skipped=every,
        )
    most = validation_users(budget, train.shape[1])
    relevant = valid.relevant()
    target = target_of(data.rows, relevant, k, most=most, seed=seed)
    new = np.flatnonzero((np.diff(relevant.indptr) > 0) & (np.diff(data.rows.seen.indptr) == 0))
    state = _State(data, target)
    for name, component in COMPONENTS.items():
        state.add(name, component)
    return ComponentSearch(
        data=data,
        effort=effort,
        target=target,
        newcomers=replace(target, users=new[:most]) if len(new) else None,
        fitted=state.fitted,
        chosen=state.chosen,
        skipped=state.skipped,
        later=_later(train, valid),
    )


class _State:
    """Components found so far."""

    def __init__(self, data: FitData, target: Target) -> None:
        self.data, self.target = data, target
        self.missing = data.lacks()
        self.fitted: dict[str, FittedMap] = {}
        self.chosen: dict[str, ChosenSettings] = {}
        self.skipped: dict[str, str] = {}
        self.decays: dict[str, float] = {}
        self.best = ("", -1.0)

    def add(self, name: str, component: Component) -> None:
        """Choose the settings of a component and keep its map, or say why it is skipped."""
        most, lacking = self._fits(component), component.needs & self.missing
        if lacking or most < 1:
            self.skipped[name] = (
                "the data lack " + "; ".join(sorted(lacking))
                if lacking
                else (
                    f"{len(self.data.histories)} interactions are beyond the effort's budget for it"
                )
            )
            _log.info("Component %s is left out: %s.", name, self.skipped[name])
            return
        started = time.monotonic()
        trial = _Trial(self.data, self.target, component, self._base(component))
        ordered = self.data.histories.order is not None
        decays = decays_of(component, self.decays, ordered=ordered)
        found = choose_settings(
            component.grid, trial.value, self.data.budget, most=most, decays=decays,
            worth=-math.inf if component.beside else self.data.budget.pursued * self.best[1],
            gains=self.best[1] if component.beside else -math.inf,
        )  # fmt: skip
        self.fitted[name], self.chosen[name] = trial.map_of(found.settings), found
        if component.decays is not None and len(decays) > 1:
            self.decays[component.decays] = found.settings.get(DECAY, 1.0)
        if not component.beside and found.value > self.best[1]:
            self.best = (name, found.value)
        _log.info(
            "Component %s: NDCG@%d %.4f with %s, %d settings tried in %.1f s.",
            name, self.target.k, found.value, dict(found.settings), len(found.tried),
            time.monotonic() - started,
        )  # fmt: skip

    def _fits(self, component: Component) -> int:
        """Fits within the budget; a component that reads the data once has one at any size."""
        size = len(self.data.histories) + _PER_ITEM * self.data.histories.shape[1]
        within = self.data.budget.fitted // (size * component.cost)
        return max(within, 1) if component.cost == 1 else within

    def _base(self, component: Component) -> FittedMap | None:
        return self.fitted.get(self.best[0]) if component.beside else None


class _Trial:
    """Values of a component's settings; a fit that differs in the decay alone is made once."""

    def __init__(
        self, data: FitData, target: Target, component: Component, base: FittedMap | None
    ) -> None:
        self.data, self.target, self.component, self.base = data, target, component, base
        self._made: dict[tuple[tuple[str, float], ...], FittedMap] = {}

    def value(self, settings: Settings) -> float:
        """NDCG@k alone, or in the best sum with the base."""
        fitted = self.map_of(settings)
        if self.base is None:
            return float(ndcg_of(fitted, self.target).mean())
        return beside(self.base, fitted, self.target)

    def map_of(self, settings: Settings) -> FittedMap:
        """The component fitted with these settings."""
        key = tuple(sorted((name, v) for name, v in settings.items() if name != DECAY))
        if key not in self._made:
            self._made[key] = self.component.fit(self.data, settings)
        fitted = self._made[key]
        if isinstance(fitted, ItemPrior) or self.component.decays is None:
            return fitted
        return replace(fitted, input=input_of(settings))


def _later(train: Histories, valid: Histories) -> bool:
    """Whether everything held out came after everything learned, as in a split by time."""
    if train.times is None or valid.times is None or not len(train) or not len(valid):
        return False
    return bool(valid.times.min() >= train.times.max())


def _nothing_to_learn(train: Histories, valid: Histories) -> str:
    """Why nothing can be chosen; empty where it can."""
    if min(train.shape) < 2:
        return f"{train.shape[0]} users and {train.shape[1]} items are too few"
    if not (train.weights > 0).any():
        return "the training rows hold nothing that is liked or neutral"
    if not valid.liked.any():
        return "the validation rows hold no liked item to choose on"
    return ""
