"""Rank aggregation: one order from many partial ones, by ranked pairs or by mean place (Borda).

*Ranked pairs* (Tideman 1987): the majorities of all pairs are locked in, the clearest first, each
unless it would close a circle with those already locked. It is chosen because it needs nothing
but comparisons (batches have no common scale of scores), a pair that few batches saw does no harm
to the others, and orders that do not contradict one another are reproduced exactly.

What the locked pairs leave open is decided by the *expected place* of an item among all orders
that respect them, in the approximation of the local partial order model (Brueggemann et al. 2004):
(before + 1) / (before + after + 2), where `before` and `after` count what surely comes before and
after it. An item that surely precedes another always has the smaller value, so sorting by it keeps
every locked pair; equal values keep the order in which the items were given.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean

Pair = tuple[int, int]


class Comparisons:
    """Votes on pairs of `n` items, given as positions 0 to n - 1.

    Attributes:
        seen: pairs (low, high) that stood in a common ranking.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.seen: set[Pair] = set()
        self._votes: dict[Pair, int] = {}

    def add(self, ranking: Sequence[int]) -> None:
        """Count a ranking, the best first: every item in it against all that follow."""
        for better, worse in combinations(ranking, 2):
            low, high = min(better, worse), max(better, worse)
            self.seen.add((low, high))
            step = 1 if better == low else -1
            self._votes[low, high] = self._votes.get((low, high), 0) + step

    def majorities(self) -> Iterator[Pair]:
        """Pairs (better, worse) with a majority, the clearest first, then as given."""
        clearest = sorted(self._votes.items(), key=lambda vote: (-abs(vote[1]), vote[0]))
        for (low, high), margin in clearest:
            if margin:
                yield (low, high) if margin > 0 else (high, low)

    def order(self) -> list[int]:
        """All items, the best first."""
        after = _locked(self.n, self.majorities())
        before = [0] * self.n
        for later in after:
            for item in _members(later):
                before[item] += 1

        def expected(item: int) -> float:
            return (before[item] + 1) / (before[item] + after[item].bit_count() + 2)

        return sorted(range(self.n), key=expected)


def _locked(n: int, majorities: Iterable[Pair]) -> list[int]:
    """For every item the set (bits) of all that the locked pairs put after it."""
    after = [0] * n
    for better, worse in majorities:
        if after[worse] >> better & 1 or after[better] >> worse & 1:
            continue  # it would close a circle, or is known already
        gained = after[worse] | 1 << worse
        for item in range(n):
            if item == better or after[item] >> better & 1:
                after[item] |= gained
    return after


def _members(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def mean_places(rankings: Sequence[Sequence[str]], items: Sequence[str]) -> dict[str, float]:
    """Borda count: the mean place, from 0, of every item; without a ranking there is none.

    An item that a ranking omits takes the mean of the places that were left there, so that a
    ranking that was cut off says nothing about the order of the rest.

    Args:
        rankings: orders of some of `items`, the best first, each without repeats.
        items: all items.
    """
    places: dict[str, list[float]] = {name: [] for name in items if rankings}
    for ranking in rankings:
        at = {name: float(place) for place, name in enumerate(ranking)}
        left = (len(ranking) + len(items) - 1) / 2
        for name, found in places.items():
            found.append(at.get(name, left))
    return {name: fmean(found) for name, found in places.items()}


def split_half_tau(rankings: Sequence[Sequence[str]], items: Sequence[str]) -> float | None:
    """Kendall's tau-b between the mean places of two halves of `rankings`, mean over all splits.

    None with fewer than two rankings, or where no split has two orders to compare.
    """
    half = len(rankings) // 2
    taus = [
        tau
        for chosen in combinations(range(len(rankings)), half)
        if half
        for tau in [_tau(*_halves(rankings, set(chosen), items))]
        if tau is not None
    ]
    return fmean(taus) if taus else None


def _halves(
    rankings: Sequence[Sequence[str]], chosen: set[int], items: Sequence[str]
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    one = [ranking for place, ranking in enumerate(rankings) if place in chosen]
    other = [ranking for place, ranking in enumerate(rankings) if place not in chosen]
    return mean_places(one, items), mean_places(other, items)


def _tau(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    """Kendall's tau-b over the items of both; None where one of them ties all."""
    signs = [(_sign(one[a] - one[b]), _sign(other[a] - other[b])) for a, b in combinations(one, 2)]
    scale = sum(a != 0 for a, _ in signs) * sum(b != 0 for _, b in signs)
    return sum(a * b for a, b in signs) / scale**0.5 if scale else None


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
