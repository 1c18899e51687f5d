"""Choose the settings and the weights of all components on validation, then fit their sum.

    found = search_components(train, valid, features=..., k=10, effort="standard")
    learned = found.learn_weights(external={"network": Vectors(...)})
    model = found.refit(train.joined(valid), learned, features=...)

Every component that the data allow is fitted on the training rows under settings that are chosen
on the validation rows; the weights of the sum are learned on the same rows, and may be zero; then
the components with a weight are fitted anew with the chosen settings.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from recsys_core.errors import DataError
from recsys_core.graph.components.candidate_pool import (
    Target,
    ndcg_of,
    pooled_candidates,
    target_of,
)
from recsys_core.graph.components.component_table import (
    COMPONENTS,
    DECAY,
    Component,
    FitData,
    Ladder,
    Settings,
    input_of,
)
from recsys_core.graph.components.effort import BUDGETS, Budget, Effort, validation_users
from recsys_core.graph.components.grid_search import ChosenSettings, choose_settings, decays_of
from recsys_core.graph.components.histories import Histories, InputRows
from recsys_core.graph.components.item_maps import FittedMap, ItemPrior, Scorer, Vectors
from recsys_core.graph.components.item_model import Facts, ItemToItemModel, summed
from recsys_core.graph.components.stacking import StackedWeights, learn_weights
from recsys_core.graph.interaction_graph import Floats, Indices

_log = logging.getLogger(__name__)

MEMORY: Final = 4 << 30
"""Bytes that a fit may take where nobody says how many there are."""
_PER_ITEM: Final = 50
"""Interactions that an item is worth when the fits of a component are counted: a local regression
costs as much as so many."""
_ROWS_KEPT: Final = (200, 300, 500)
"""Entries per row of the served matrices that are tried, the fewest first."""
_CUT_LOSS: Final = 1e-3
"""Relative loss of NDCG up to which fewer entries are taken."""
_JUDGED: Final = 9
"""Tries for the weight of a component that is judged beside the best one."""


@dataclass(frozen=True, kw_only=True)
class ComponentSearch:
    """What was found on validation.

    Attributes:
        data: the training rows and what was computed from them.
        effort: name of the budget.
        target: the validation users; None where nobody has a liked validation item.
        newcomers: those without a history; None where there are none.
        fitted: component -> its map, fitted on the training rows.
        chosen: component -> its settings and what they are worth.
        skipped: component -> why it was not fitted.
    """

    data: FitData
    effort: Effort
    target: Target | None
    newcomers: Target | None
    fitted: Mapping[str, FittedMap]
    chosen: Mapping[str, ChosenSettings]
    skipped: Mapping[str, str]

    def ndcg(self, scorer: Scorer) -> float:
        """NDCG@k of one scorer on the validation users; NaN where there are none."""
        return float("nan") if self.target is None else float(ndcg_of(scorer, self.target).mean())

    def learn_weights(self, external: Mapping[str, Vectors] | None = None) -> StackedWeights:
        """The weights of the sum of all components and of vectors from outside.

        Where there is no validation user nothing can be learned: the first vectors from outside
        get the weight 1, and everything else none.

        Args:
            external: name -> vectors of a model that was trained on the training rows.

        Raises:
            DataError: there is nothing to weigh.
        """
        external = dict(external or {})
        scorers: dict[str, Scorer] = {**self.fitted, **external}
        if not scorers:
            raise DataError(
                "There is neither a component nor a model from outside to be weighed.",
                expected="validation rows with liked items, or vectors of a network.",
                fix="make the validation share larger.",
            )
        if self.target is None:
            return _unlearned(next(iter(scorers)))
        pool = pooled_candidates(scorers, self.target, top=_top(self.target.k))
        learned = learn_weights(pool, budget=self._budget.weights)
        return replace(learned, cut=self._cut(learned, external))

    def refit(
        self, histories: Histories, learned: StackedWeights, *, features: Floats | None = None
    ) -> ItemToItemModel:
        """The components with a weight, fitted on other rows with the chosen settings, as one sum.

        Args:
            histories: usually training and validation rows; the training rows alone take the maps
                that are there.
            learned: the weights; those of models from outside are left to the caller.
            features: (n_items, d) as they were given to the search.
        """
        facts = self._model_facts(learned)
        if histories is self.data.histories:
            return self._summed(learned, _row_entries(facts), facts)
        return refit_from(facts, histories, features=features, memory=self.data.memory)

    def facts(self) -> dict[str, object]:
        """Plain values for a summary or a report: what was chosen, from what, what is missing."""
        return {
            "effort": self.effort,
            "validation_users": 0 if self.target is None else len(self.target.users),
            "k": 0 if self.target is None else self.target.k,
            "chosen": {name: chosen.facts() for name, chosen in self.chosen.items()},
            "skipped": dict(self.skipped),
        }

    @property
    def _budget(self) -> Budget:
        return BUDGETS[self.effort]

    def _model_facts(self, learned: StackedWeights) -> dict[str, object]:
        return {
            "effort": self.effort,
            "seed": self.data.seed,
            "components": {
                name: {"weight": weight, "settings": dict(self.chosen[name].settings)}
                for name, weight in learned.weights.items()
                if name in self.chosen
            },
            _NEWCOMERS: self._popular(),
            "cut": dict(learned.cut),
        }

    def _popular(self) -> dict[str, object]:
        """The popularity that ranks items best for users without a history.

        Judged on validation users of that kind; where there are none, on the others.
        """
        target = self.newcomers or self.target
        if target is None:
            return {}
        trials = [
            (name, settings)
            for name, part in self.fitted.items()
            if isinstance(part, ItemPrior)
            for settings in _half_lives(name, self.chosen[name].settings)
        ]
        values = [
            ndcg_of(COMPONENTS[name].fit(self.data, settings), target).mean()
            for name, settings in trials
        ]
        name, settings = trials[int(np.argmax(values))]
        return {name: {"settings": settings}}

    def _summed(
        self, learned: StackedWeights, most: int | None, facts: Facts | None = None
    ) -> ItemToItemModel:
        weights = learned.weights
        parts = [(part, weights[name]) for name, part in self.fitted.items() if name in weights]
        newcomers = [
            COMPONENTS[name].fit(self.data, entry["settings"])
            for name, entry in (facts or {}).get(_NEWCOMERS, {}).items()
        ]
        return summed(
            parts,
            self.data.histories.shape[1],
            most=most,
            usual=self.data.usual,
            newcomers=newcomers[0] if newcomers else None,
            facts=facts,
        )

    def _cut(self, learned: StackedWeights, external: Mapping[str, Vectors]) -> dict[str, float]:
        """How many entries a row keeps: the fewest that lose less than a thousandth of NDCG."""
        assert self.target is not None  # noqa: S101 - weights were learned on it
        others = [(external[n], w) for n, w in learned.weights.items() if n in external]
        uncut = self.ndcg(_Sum(model=self._summed(learned, None), others=others))
        cut, most = uncut, 0
        for most in _ROWS_KEPT:
            cut = self.ndcg(_Sum(model=self._summed(learned, most), others=others))
            if cut >= uncut * (1 - _CUT_LOSS):
                break
        _log.info("Rows of %d entries: NDCG %.4f, uncut %.4f.", most, cut, uncut)
        return {_ROW: most, "ndcg_uncut": uncut, "ndcg": cut}


_ROW: Final = "row_entries"
_HALF_LIFE: Final = "half_life"
_NEWCOMERS: Final = "users_without_history"


@dataclass(frozen=True, kw_only=True)
class _Sum:
    """A model, and models from outside with their weights, as one scorer."""

    model: ItemToItemModel
    others: list[tuple[Vectors, float]]

    def scores(self, rows: InputRows, users: Indices) -> Floats:
        total = self.model.scores(rows, users)
        for vectors, weight in self.others:
            total += np.float32(weight) * vectors.scores(rows, users)
        return total


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
    )


def fit_components(
    train: Histories,
    valid: Histories,
    *,
    features: Floats | None = None,
    k: int = 10,
    effort: Effort = "standard",
    seed: int = 0,
    memory: int = MEMORY,
) -> ItemToItemModel:
    """The sum of components alone: chosen on validation, fitted on both; as `search_components`."""
    found = search_components(
        train, valid, features=features, k=k, effort=effort, seed=seed, memory=memory
    )
    return found.refit(train.joined(valid), found.learn_weights(), features=features)


def refit_from(
    facts: Facts,
    histories: Histories,
    *,
    features: Floats | None = None,
    memory: int = MEMORY,
) -> ItemToItemModel:
    """The model that `facts` describe, fitted on other rows: nothing is chosen anew.

    Args:
        facts: `ItemToItemModel.facts`, also as read back from JSON.
        histories: rows to fit on.
        features: (n_items, d) what items are known by.
        memory: bytes that one fit may take.

    Raises:
        DataError: a component needs something that these rows lack.
    """
    data = FitData(
        histories=histories,
        features=features,
        budget=BUDGETS[facts["effort"]],
        memory=memory,
        seed=facts["seed"],
    )
    missing, parts = data.lacks(), []
    for name, entry in facts["components"].items():
        lacking = COMPONENTS[name].needs & missing
        if lacking:
            raise DataError(
                f"The component {name} was chosen, and these rows lack {'; '.join(lacking)}.",
                expected="rows of the kind that the components were chosen on.",
                fix="train anew instead of refitting.",
            )
        parts.append((COMPONENTS[name].fit(data, entry["settings"]), entry["weight"]))
    newcomers = None
    for name, entry in facts.get(_NEWCOMERS, {}).items():
        newcomers = COMPONENTS[name].fit(data, entry["settings"])
    return summed(
        parts,
        histories.shape[1],
        most=_row_entries(facts),
        usual=data.usual,
        newcomers=newcomers,
        facts=facts,
    )


def _row_entries(facts: Facts) -> int | None:
    return int(facts["cut"][_ROW]) if _ROW in facts["cut"] else None


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
        found = choose_settings(component, trial.value, self.data.budget, most=most, decays=decays)
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
        scorers = {"base": self.base, "component": fitted}
        pool = pooled_candidates(scorers, self.target, top=_top(self.target.k))
        return learn_weights(pool, budget=_JUDGED, noise=0.0).ndcg

    def map_of(self, settings: Settings) -> FittedMap:
        """The component fitted with these settings."""
        key = tuple(sorted((name, v) for name, v in settings.items() if name != DECAY))
        if key not in self._made:
            self._made[key] = self.component.fit(self.data, settings)
        fitted = self._made[key]
        if isinstance(fitted, ItemPrior) or self.component.decays is None:
            return fitted
        return replace(fitted, input=input_of(settings))


def _nothing_to_learn(train: Histories, valid: Histories) -> str:
    """Why nothing can be chosen; empty where it can."""
    if min(train.shape) < 2:
        return f"{train.shape[0]} users and {train.shape[1]} items are too few"
    if not (train.weights > 0).any():
        return "the training rows hold nothing that is liked or neutral"
    if not valid.liked.any():
        return "the validation rows hold no liked item to choose on"
    return ""


def _half_lives(name: str, chosen: Settings) -> list[dict[str, float]]:
    """The chosen settings of a popularity, and those with every other half-life."""
    values = COMPONENTS[name].grid.get(_HALF_LIFE, Ladder(values=())).values
    return [dict(chosen), *({**chosen, _HALF_LIFE: value} for value in values)]


def _unlearned(name: str) -> StackedWeights:
    nothing = float("nan")
    return StackedWeights(
        weights={name: 1.0}, alone={}, without={}, ndcg=nothing, users=0, evaluations=0, budget=0
    )


def _top(k: int) -> int:
    """Best items of each component among which a sum's best k are looked for."""
    return 2 * k + 30
