"""Weights of a sum of components, learned on validation: stacking by coordinate search on NDCG.

The search starts from the best component alone. In rounds it takes every component, the best one
first, and tries a few multiples of its weight, and zero; a try that gains enough is kept. The
result is never behind the best component on the users it is learned on. At the end a component
goes whose loss is within the noise of these users, for it costs time and gains nothing sure.

A few users decide little: on fewer than `effort.LEAST_USERS` the search takes what falls well for
them for what is better. There the weights are means over searches on random halves of the users
(bagging), by an NDCG that is cut off deeper, where each user has more hits to tell sums apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from recsys_core.errors import ConfigError
from recsys_core.graph.components.selection.candidate_pool import CandidatePool

Doubles = npt.NDArray[np.float64]

_ENTRIES: Final = (0.1, 0.3, 1.0)
"""Weights tried for a component that has none, as multiples of the sum of the others."""
_HALVES: Final = 12
"""Halves of few users that weights are means over."""
_DEEP: Final = 100
"""Cut-off of NDCG on these."""
_LEAST_SHARE: Final = 0.02
"""Share of the weights below which a component is left out of such means."""
_KEPT: Final = 0.5
"""What a kept component gets beside the mean of the searches, relative to their weights."""
_FACTORS: Final = (0.0, 0.5, 0.75, 1.33, 2.0)
"""Multiples tried of a weight that a component has."""


@dataclass(frozen=True, kw_only=True)
class StackedWeights:
    """What was learned.

    Attributes:
        weights: component -> factor of its scores; those of weight zero are not named.
        alone: component -> NDCG@k on its own.
        without: component with a weight -> NDCG@k of the sum without it.
        ndcg: NDCG@k of the sum.
        users: users these values are means of.
        evaluations: tries that were spent.
        budget: tries that were allowed.
        cut: entries that a row of the summed maps keeps, and NDCG@k with and without the cut.
    """

    weights: Mapping[str, float]
    alone: Mapping[str, float]
    without: Mapping[str, float]
    ndcg: float
    users: int
    evaluations: int
    budget: int
    cut: Mapping[str, float] = field(default_factory=dict)

    def facts(self) -> dict[str, object]:
        """Plain values for a manifest, a summary or a report."""
        return {
            "weights": dict(self.weights),
            "ndcg_alone": dict(self.alone),
            "ndcg_without": dict(self.without),
            "ndcg": self.ndcg,
            "users": self.users,
            "evaluations": self.evaluations,
            "budget": self.budget,
            "cut": dict(self.cut),
        }


def learn_weights(
    pool: CandidatePool, *, budget: int, gain: float = 2e-4, noise: float = 1.0
) -> StackedWeights:
    """The weights of the components of a pool.

    Args:
        pool: candidates of validation users.
        budget: tries at most; at least one per component and one more.
        gain: relative gain from which on a try is kept.
        noise: a component goes whose removal costs less than so many standard errors of the
            paired difference.

    Raises:
        ConfigError: the budget does not reach for the components alone.
    """
    if budget <= len(pool.names):
        raise ConfigError(
            f"A budget of {budget} tries for {len(pool.names)} components.",
            expected=f"at least {len(pool.names) + 1}: each one alone, and a first sum.",
            fix="raise the effort, or name fewer components.",
        )
    search = _Search(pool, budget, gain)
    search.run()
    search.remove(noise)
    without = search.without()
    return StackedWeights(
        weights=search.named(),
        alone=dict(zip(pool.names, search.alone, strict=True)),
        without=without,
        ndcg=float(pool.ndcg(pool.total(search.weights)).mean()),
        users=len(pool.ideal),
        evaluations=search.spent,
        budget=budget,
    )


def learn_weights_of_few(
    pool: CandidatePool, *, budget: int, seed: int, gain: float = 2e-4, kept: str | None = None
) -> StackedWeights:
    """The weights of the components of a pool of few users (docs/experiments.md, 2026-11-30).

    Where the mean of the searches is behind the best component on all users, that search is
    taken which saw all of them.

    Where time has passed between what was learned and what is held out, more may have changed than
    a few users tell, and the next stretch of time will change again. `kept` names the component
    that such changes spare (what is popular lately): it has a third of the weights at least.

    Args:
        pool: candidates of validation users.
        budget: tries of each search at most, as in `learn_weights`.
        seed: of the halves.
        gain: relative gain from which on a try is kept.
        kept: a component that is part of the sum whatever these users say; None for none.

    Raises:
        ConfigError: the budget does not reach for the components alone.
    """
    whole = learn_weights(pool, budget=budget, gain=gain)
    users, deep, rng = len(pool.ideal), pool.at(_DEEP), np.random.default_rng(seed)
    if users < 2:
        return whole
    shares, spent = np.zeros(len(pool.names)), whole.evaluations
    for _ in range(_HALVES):
        search = _Search(deep.of_users(rng.permutation(users)[: users // 2]), budget, gain)
        search.run()
        shares += search.weights / search.weights.sum() / _HALVES
        spent += search.spent
    mean = _Search(pool, budget, gain)
    mean.weights = np.where(shares >= _LEAST_SHARE, shares, 0.0)
    if kept in pool.names:
        mean.weights[pool.names.index(kept)] += _KEPT * mean.weights.sum()
    found = float(pool.ndcg(pool.total(mean.weights)).mean())
    if kept not in pool.names and found < max(mean.alone):
        return replace(whole, evaluations=spent, budget=budget * (_HALVES + 1))
    return replace(
        whole, weights=mean.named(), without=mean.without(), ndcg=found, evaluations=spent,
        budget=budget * (_HALVES + 1),
    )  # fmt: skip


class _Search:
    """State of the coordinate search; weights are those of scaled scores."""

    def __init__(self, pool: CandidatePool, budget: int, gain: float) -> None:
        self.pool, self.budget, self.gain, self.spent = pool, budget, gain, 0
        self.alone = [self._value(pool.scores[c]) for c in range(len(pool.names))]
        best = int(np.argmax(self.alone))
        self.weights: Doubles = np.zeros(len(pool.names))
        self.weights[best] = 1.0
        self.best = self.alone[best]

    def run(self) -> None:
        """Rounds through all components, until one gains nothing or the budget is spent."""
        order = np.argsort(self.alone)[::-1]
        gained = True
        while gained and self.spent < self.budget:
            total = self.pool.total(self.weights)
            improved = [self._improve(int(c), total) for c in order]
            gained = any(improved)

    def _improve(self, c: int, total: torch.Tensor) -> bool:
        """Try weights of one component; `total` is changed to the sum of the kept ones."""
        best, chosen = self.best * (1 + self.gain), None
        for weight in self._tries(c):
            if self.spent >= self.budget:
                break
            value = self._value(total + (weight - self.weights[c]) * self.pool.scores[c])
            if value > best:
                best, chosen = value, weight
        if chosen is None:
            return False
        total += (chosen - self.weights[c]) * self.pool.scores[c]
        self.weights[c], self.best = chosen, best
        return True

    def _tries(self, c: int) -> list[float]:
        own, everything = float(self.weights[c]), float(self.weights.sum())
        if own == 0.0:
            return [everything * entry for entry in _ENTRIES]
        alone = np.count_nonzero(self.weights) == 1
        return [] if alone else [own * factor for factor in _FACTORS]

    def remove(self, noise: float) -> None:
        """Remove what does not earn its place, the smallest weight first.

        The best component alone stays: the sum is never behind it.
        """
        strongest = int(np.argmax(self.alone))
        for c in np.argsort(self.weights):
            if not self.weights[c] or np.count_nonzero(self.weights) == 1:
                continue
            less = self.weights.copy()
            less[c] = 0.0
            values = self.pool.ndcg(self.pool.total(less))
            lost = self.pool.ndcg(self.pool.total(self.weights)) - values
            error = float(lost.std()) / len(lost) ** 0.5
            small = float(lost.mean()) <= noise * error
            if small and c != strongest and float(values.mean()) >= max(self.alone):
                self.weights = less

    def named(self) -> dict[str, float]:
        """Component -> factor of its scores as they are, where it has one."""
        chosen = np.flatnonzero(self.weights)
        names, scales = self.pool.names, self.pool.scales
        return {names[c]: float(self.weights[c] / scales[c]) for c in chosen}

    def without(self) -> dict[str, float]:
        """Component -> NDCG of the others that have a weight."""
        without: dict[str, float] = {}
        for c in np.flatnonzero(self.weights):
            less = self.weights.copy()
            less[c] = 0.0
            if less.any():
                without[self.pool.names[c]] = self._value(self.pool.total(less))
        return without

    def _value(self, total: torch.Tensor) -> float:
        self.spent += 1
        return float(self.pool.ndcg(total).mean())
