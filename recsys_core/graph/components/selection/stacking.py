"""Weights of a sum of components, learned on validation: stacking by coordinate search on NDCG.

A search starts from the best component alone. In rounds it takes every component, the best one
first, and tries a few multiples of its weight, and zero; a try that gains enough is kept.

What validation users like says less about sums than it seems to: of one search on all of them much
is what falls well for them. So the weights are means over searches on random halves of the users
(bagging). A third of the searches goes by NDCG at the cut-off of the lists, the others by cut-offs
up to 100, where each user has more hits to tell sums apart: deep ones alone move hits from the
first places to later ones, the lists' own alone overfits where users are few (docs/experiments.md,
2026-11-30). A cut-off within which the best component has next to no hits has no say. By the
deepest NDCG the result is never behind the best component on the users it is learned on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from recsys_core.concurrency import in_threads
from recsys_core.errors import ConfigError
from recsys_core.graph.components.selection.candidate_pool import CandidatePool

Doubles = npt.NDArray[np.float64]

_ENTRIES: Final = (0.1, 0.3, 1.0)
"""Weights tried for a component that has none, as multiples of the sum of the others."""
BAGS: Final = 12
"""Random parts of the users that weights are means over."""
_USERS: Final = 3_000
"""Users of a part at most: each costs time, and memory in every thread."""
_LEAST_HITS: Final = 200
"""Hits of the best component within a cut-off, from which on searches go by it."""
DEEP: Final = 100
"""The deepest cut-off of NDCG that weights are learned by, or that of the lists if deeper."""
_LEAST_SHARE: Final = 0.02
"""Share of the weights below which a component is left out."""
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
    pool: CandidatePool, *, budget: int, seed: int, gain: float = 2e-4, kept: str | None = None
) -> StackedWeights:
    """The weights of the components of a pool.

    Where time has passed between what was learned and what is held out, more may have changed than
    a few users tell, and the next stretch of time will change again. `kept` names the component
    that such changes spare (what is popular lately): it has a third of the weights at least.

    Args:
        pool: candidates of validation users.
        budget: tries of each search at most; at least one per component and one more.
        seed: of the parts.
        gain: relative gain from which on a try is kept.
        kept: a component that is part of the sum whatever the users say; None for none.

    Raises:
        ConfigError: the budget does not reach for the components alone.
    """
    if budget <= len(pool.names):
        raise ConfigError(
            f"A budget of {budget} tries for {len(pool.names)} components.",
            expected=f"at least {len(pool.names) + 1}: each one alone, and a first sum.",
            fix="raise the effort, or name fewer components.",
        )
    deep = pool.at(max(DEEP, pool.k))
    found = _Search(deep, budget, gain)
    shallow = [one for one in (pool, pool.at(round((pool.k * deep.k) ** 0.5))) if _tells(one)]
    parts = _searches_of_parts([*shallow, deep], budget, gain, seed)
    if parts:
        found.weights = _mean([one.weights for one in parts])
    if kept in pool.names:
        found.weights[pool.names.index(kept)] += _KEPT * found.weights.sum()
    elif found.ndcg_of(found.weights) < found.best:
        found.start()
        found.run()
    told = _Search(pool, budget, gain)
    told.weights = found.weights
    return StackedWeights(
        weights=told.named(),
        alone=dict(zip(pool.names, told.alone, strict=True)),
        without=told.without(),
        ndcg=told.ndcg_of(told.weights),
        users=len(pool.ideal),
        evaluations=found.spent + sum(one.spent for one in parts),
        budget=budget * (1 + len(parts)),
    )


def _tells(pool: CandidatePool) -> bool:
    """Whether there are hits enough within the cut-off to tell sums apart."""
    return max(map(pool.listed, pool.scores)) >= _LEAST_HITS


def _searches_of_parts(
    pools: Sequence[CandidatePool], budget: int, gain: float, seed: int
) -> list["_Found"]:
    """Searches on random halves of the users, or of `_USERS` of them.

    Args:
        pools: the same candidates at several cut-offs, which the searches take in turn.
        budget: tries of each search.
        gain: relative gain from which on a try is kept.
        seed: of the parts.
    """
    pool = pools[0]
    users = len(pool.ideal)
    if users == 1 or len(pool.names) == 1:
        return []
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(users)[: min(users // 2, _USERS)] for _ in range(BAGS)]

    def search(number: int) -> _Found:
        part = _Search(pools[number % len(pools)].of_users(parts[number]), budget, gain)
        part.run()
        return _Found(part.weights, part.spent)

    return in_threads(search, range(BAGS))


class _Found(NamedTuple):
    """What one search found: weights of scaled scores, and tries."""

    weights: Doubles
    spent: int


def best_sum(pool: CandidatePool, *, budget: int, gain: float = 2e-4) -> float:
    """NDCG@k of the best sum that one search on all users finds."""
    search = _Search(pool, budget, gain)
    search.run()
    return search.best


def _mean(found: list[Doubles]) -> Doubles:
    """Mean of weights, each relative to their sum, without what has next to nothing."""
    shares: Doubles = np.mean([one / one.sum() for one in found], axis=0)
    return np.where(shares >= _LEAST_SHARE, shares, 0.0)


class _Search:
    """State of the coordinate search; weights are those of scaled scores."""

    def __init__(self, pool: CandidatePool, budget: int, gain: float) -> None:
        self.pool, self.budget, self.gain, self.spent = pool, budget, gain, 0
        self.alone = [self._value(pool.scores[c]) for c in range(len(pool.names))]
        self.start()

    def start(self) -> None:
        """The best component alone."""
        best = int(np.argmax(self.alone))
        self.weights: Doubles = np.zeros(len(self.pool.names))
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

    def ndcg_of(self, weights: Doubles) -> float:
        """Mean NDCG@k of a sum."""
        return self._value(self.pool.total(weights))

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
