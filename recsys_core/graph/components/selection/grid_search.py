"""Settings of one component, chosen on validation, one parameter after the other."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from recsys_core.graph.components.effort import Budget
from recsys_core.graph.components.item_to_item.component_table import DECAYS, Component
from recsys_core.graph.components.settings import DECAY, Ladder, Settings

Evaluate = Callable[[Settings], float]

_SAME: Final = 1e-5
"""Relative difference of NDCG that is none: sums of float32."""


@dataclass(frozen=True, kw_only=True)
class ChosenSettings:
    """What was chosen for a component.

    Attributes:
        settings: parameter -> value.
        value: NDCG@k with them, alone or beside the best component.
        tried: settings that were evaluated, with their values, in order.
    """

    settings: Mapping[str, float]
    value: float
    tried: tuple[tuple[Mapping[str, float], float], ...]

    def facts(self) -> dict[str, object]:
        """Plain values for a manifest or a report."""
        return {
            "settings": dict(self.settings),
            "value": self.value,
            "tried": [{"settings": dict(some), "value": value} for some, value in self.tried],
        }


def choose_settings(
    grid: Mapping[str, Ladder],
    evaluate: Evaluate,
    budget: Budget,
    *,
    most: int,
    decays: tuple[float, ...] = (),
    worth: float = -math.inf,
    gains: float = -math.inf,
) -> ChosenSettings:
    """The best settings within a number of fits.

    Starts from the middle of every ladder and tries the values of one parameter at a time, the
    others held; then, where the budget refines, half a rung beside the best one. Decays are tried
    last: they cost no fit.

    Args:
        grid: parameter -> values, in the order in which they are searched.
        evaluate: NDCG@k of settings on validation.
        budget: of the effort.
        most: fits at most; values of a cheap ladder are not counted.
        decays: values of the input's decay; a single one is taken without a try.
        worth: below this, the settings that the search starts from are kept: a component so far
            behind others may still help their sum, but hardly by its last digits.
        gains: where no value of the first parameter rises above this (what the best component has
            by itself, for one that is judged beside it), the others are left in the middle.
    """
    search = _GridSearch(grid, evaluate, most, decays)
    if search.value < worth:
        return ChosenSettings(settings=search.best, value=search.value, tried=tuple(search.tried))
    idle = False
    for name, ladder in grid.items():
        if idle and not ladder.provisional:
            continue
        search.along(
            name, ladder.some(budget.values)[1:], cheap=ladder.cheap, settle=ladder.provisional
        )
        idle = search.value <= gains * (1 + _SAME)
        if budget.refine and ladder.geometric and len(ladder.values) > 1 and not idle:
            search.along(name, _beside(ladder, search.best[name]))
    search.decays(decays)
    return ChosenSettings(settings=search.best, value=search.value, tried=tuple(search.tried))


class _GridSearch:
    def __init__(
        self,
        grid: Mapping[str, Ladder],
        evaluate: Evaluate,
        most: int,
        decays: tuple[float, ...],
    ) -> None:
        self.evaluate, self.left = evaluate, most
        self.tried: list[tuple[Settings, float]] = []
        self.best: dict[str, float] = {name: ladder.some(1)[0] for name, ladder in grid.items()}
        if decays and decays[0] != 1.0:
            self.best[DECAY] = decays[0]
        self.value = self._try(self.best)
        self.left -= 1

    def along(
        self, name: str, values: tuple[float, ...], *, cheap: bool = False, settle: bool = False
    ) -> None:
        """Try values of one parameter, as many as are left.

        Args:
            name: of the parameter.
            values: to be tried.
            cheap: whether they are not counted.
            settle: whether one of them has to be taken, however good the present one is.
        """
        start = dict(self.best)
        if settle:
            self.best, self.value = start | {name: values[0]}, -math.inf
        for value in values:
            if not cheap:
                if self.left < 1:
                    return
                self.left -= 1
            self._keep_better(start | {name: value})

    def decays(self, values: tuple[float, ...]) -> None:
        """Try decays of the input, which cost no fit."""
        for value in values[1:]:
            self._keep_better(self.best | {DECAY: value})

    def _keep_better(self, settings: dict[str, float]) -> None:
        found = self._try(settings)
        if found > self.value:
            self.best, self.value = settings, found

    def _try(self, settings: Settings) -> float:
        value = self.evaluate(settings)
        self.tried.append((dict(settings), value))
        return value


def _beside(ladder: Ladder, value: float) -> tuple[float, ...]:
    """Half a rung below and above a value of the ladder, by the rungs' ratio."""
    place = min(ladder.values.index(value), len(ladder.values) - 2)
    half = (ladder.values[place + 1] / ladder.values[place]) ** 0.5
    return value / half, value * half


def decays_of(
    component: Component, known: Mapping[str, float], *, ordered: bool
) -> tuple[float, ...]:
    """Decays that a component may try: those of its kind, the kind's choice, or none.

    Args:
        component: whose history may decay.
        known: kind -> decay that its first component chose.
        ordered: whether the histories have an order.
    """
    if component.decays is None or not ordered:
        return ()
    if component.decays in known:
        return (known[component.decays],)
    return DECAYS[component.decays]
