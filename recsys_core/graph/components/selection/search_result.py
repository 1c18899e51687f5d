"""What the search on validation found, and the sum that is made of it."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from recsys_core.errors import DataError
from recsys_core.graph.components.dot_products.fitter import Fitter
from recsys_core.graph.components.effort import BUDGETS, LEAST_USERS, Budget, Effort
from recsys_core.graph.components.histories import Histories, InputRows
from recsys_core.graph.components.item_maps import FittedMap, ItemPrior, Scorer, Vectors
from recsys_core.graph.components.item_model import Facts, ItemToItemModel, summed
from recsys_core.graph.components.item_to_item.component_table import COMPONENTS
from recsys_core.graph.components.item_to_item.fit_data import FitData
from recsys_core.graph.components.selection.candidate_pool import Target, ndcg_of, pooled_candidates
from recsys_core.graph.components.selection.grid_search import ChosenSettings, choose_settings
from recsys_core.graph.components.selection.refit import (
    NEWCOMERS,
    ROW_ENTRIES,
    refit_from,
    row_entries,
)
from recsys_core.graph.components.selection.stacking import (
    StackedWeights,
    best_sum,
    learn_weights,
)
from recsys_core.graph.components.settings import Ladder, Settings
from recsys_core.graph.interaction_graph import Floats, Indices

_log = logging.getLogger(__name__)

_ROWS_KEPT: Final = (200, 300, 500)
"""Entries per row of the served matrices that are tried, the fewest first."""
_CUT_LOSS: Final = 1e-3
"""Relative loss of NDCG up to which fewer entries are taken."""
_JUDGED: Final = 9
"""Tries for the weight of a component that is judged beside the best one."""
_HALF_LIFE: Final = "half_life"
_POPULAR_LATELY: Final = "recent_popularity"


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
        later: whether all validation rows came after all training rows.
    """

    data: FitData
    effort: Effort
    target: Target | None
    newcomers: Target | None
    fitted: Mapping[str, FittedMap]
    chosen: Mapping[str, ChosenSettings]
    skipped: Mapping[str, str]
    later: bool = False

    def ndcg(self, scorer: Scorer) -> float:
        """NDCG@k of one scorer on the validation users; NaN where there are none."""
        return float("nan") if self.target is None else float(ndcg_of(scorer, self.target).mean())

    def beside(self, base: Scorer, scorer: Scorer) -> float:
        """NDCG@k of the best sum of two scorers on the validation users."""
        assert self.target is not None  # noqa: S101 - asked for where there are some
        return beside(base, scorer, self.target)

    def choose(self, fitter: Fitter, base: Scorer | None) -> ChosenSettings:
        """Settings of a component from outside.

        Args:
            fitter: its settings, and how it is fitted.
            base: what it is judged beside; None judges it alone.
        """

        def value(settings: Settings) -> float:
            if self.target is None or not fitter.grid:
                return float("nan")
            scorer = fitter.scorer(settings)
            return self.ndcg(scorer) if base is None else self.beside(base, scorer)

        gains = -math.inf if base is None else self.ndcg(base)
        return choose_settings(
            fitter.grid, value, self._budget, most=fitter.fits,
            gains=gains if math.isfinite(gains) else -math.inf,
        )  # fmt: skip

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
        pool = pooled_candidates(scorers, self.target, top=top_of_pool(self.target.k))
        few = len(pool.ideal) < LEAST_USERS
        learned = learn_weights(
            pool, budget=self._budget.weights, seed=self.data.seed,
            kept=_POPULAR_LATELY if few and self.later else None,
        )  # fmt: skip
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
            return self._summed(learned, row_entries(facts), facts)
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
            NEWCOMERS: self._popular(),
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
            for name, entry in (facts or {}).get(NEWCOMERS, {}).items()
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
        return {ROW_ENTRIES: most, "ndcg_uncut": uncut, "ndcg": cut}


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


def _half_lives(name: str, chosen: Settings) -> list[dict[str, float]]:
    """The chosen settings of a popularity, and those with every other half-life."""
    values = COMPONENTS[name].grid.get(_HALF_LIFE, Ladder(values=())).values
    return [dict(chosen), *({**chosen, _HALF_LIFE: value} for value in values)]


def _unlearned(name: str) -> StackedWeights:
    nothing = float("nan")
    return StackedWeights(
        weights={name: 1.0}, alone={}, without={}, ndcg=nothing, users=0, evaluations=0, budget=0
    )


def beside(base: Scorer, scorer: Scorer, target: Target) -> float:
    """NDCG@k of the best sum of two scorers."""
    scorers = {"base": base, "component": scorer}
    pool = pooled_candidates(scorers, target, top=top_of_pool(target.k))
    return best_sum(pool, budget=_JUDGED)


def top_of_pool(k: int) -> int:
    """Best items of each component among which a sum's best k are looked for."""
    return 2 * k + 30
