"""Block design: which items are judged together in the batches of relevancy scoring.

Twenty items in twelve batches of five, each in three: no two items need to meet twice (drop a
point from the Steiner triple system on 13 points and read its 20 triples as items, its 12 points
as batches). Rounds of a shuffled partition cannot do that: the five items of a batch would have
to go to five batches of the next round, which has four. So the design is searched for by swaps
over all batches at once, which works for any number of items, and kept.
"""

import math
import random
from functools import lru_cache
from itertools import combinations
from typing import Final

import numpy as np

Batches = tuple[tuple[int, ...], ...]

_STEPS: Final = 15_000
"""Swaps tried at most (0.2 s); 20 items in batches of five are done after 1,000 to 9,000."""
_TEMPERATURE: Final = 0.25


def batches(n_items: int, size: int, repeats: int, rng: np.random.Generator) -> Batches:
    """Batches of item positions in which every item stands in exactly `repeats` batches.

    The design is the same for equal numbers; `rng` decides which item takes which of its places,
    the order inside every batch and the order of the batches. Batches differ by at most one in
    size, and pairs meet as rarely as the search could make them.

    Args:
        n_items: number of items; none gives no batch.
        size: most items per batch.
        repeats: batches per item. With `n_items <= size` all items meet in every batch.
        rng: source of the shuffles.
    """
    items = rng.permutation(n_items)
    shuffled = [
        tuple(int(item) for item in rng.permutation(items[list(batch)]))
        for batch in design(n_items, size, repeats)
    ]
    return tuple(shuffled[position] for position in rng.permutation(len(shuffled)))


def repeated_meetings(found: Batches) -> int:
    """How often a pair of items meets again after its first batch, summed over the pairs."""
    meetings: dict[tuple[int, int], int] = {}
    for batch in found:
        for pair in combinations(sorted(batch), 2):
            meetings[pair] = meetings.get(pair, 0) + 1
    return sum(count - 1 for count in meetings.values())


@lru_cache(maxsize=256)
def design(n_items: int, size: int, repeats: int) -> Batches:
    """The design itself, deterministic; see `batches`."""
    if n_items == 0:
        return ()
    n_batches = max(repeats, math.ceil(n_items * repeats / size))
    search = _Search(n_items, n_batches, repeats)
    if n_items > size:  # else everything meets everything, whatever is swapped
        search.run()
    return tuple(tuple(sorted(batch)) for batch in search.best)


def _least_cost(n_items: int, lengths: list[int]) -> int:
    """The cost if all meetings were spread evenly over all pairs; no design has less."""
    pairs = max(1, math.comb(n_items, 2))
    times, more = divmod(sum(math.comb(length, 2) for length in lengths), pairs)
    return pairs * math.comb(times, 2) + more * times


class _Search:
    """Simulated annealing over swaps of two items between two batches."""

    def __init__(self, n_items: int, n_batches: int, repeats: int) -> None:
        self.rng = random.Random(0)  # noqa: S311  # a fixed design, nothing secret
        self.members: list[set[int]] = [set() for _ in range(n_batches)]
        self.meetings = [[0] * n_items for _ in range(n_items)]
        for item in range(n_items):
            for batch in self._emptiest(repeats):
                batch.add(item)
        for batch in self.members:
            for one, other in combinations(batch, 2):
                self._count(one, other, 1)
        # Pairs of meetings, so that a third meeting of two items costs more than a second one.
        self.cost = sum(met * (met - 1) // 2 for row in self.meetings for met in row) // 2
        self.best, self.best_cost = [set(batch) for batch in self.members], self.cost
        self.floor = _least_cost(n_items, [len(batch) for batch in self.members])

    def run(self) -> None:
        for _ in range(_STEPS):
            if self.best_cost <= self.floor:
                return
            self._step()

    def _emptiest(self, number: int) -> list[set[int]]:
        return sorted(self.members, key=lambda batch: (len(batch), self.rng.random()))[:number]

    def _step(self) -> None:
        here, there = self.rng.sample(self.members, 2)
        # Sorted: the order of a set is not promised, and the design must be the same everywhere.
        one, other = self.rng.choice(sorted(here)), self.rng.choice(sorted(there))
        if one in there or other in here:
            return
        here.remove(one)
        there.remove(other)
        # Items in both batches meet the two before and after alike.
        change = self._gain(other, one, here - there) + self._gain(one, other, there - here)
        if change > 0 and self.rng.random() >= math.exp(-change / _TEMPERATURE):
            here.add(one)
            there.add(other)
            return
        self._exchange(other, one, here)
        self._exchange(one, other, there)
        self.cost += change
        if self.cost < self.best_cost:
            self.best, self.best_cost = [set(batch) for batch in self.members], self.cost

    def _gain(self, comes: int, goes: int, batch: set[int]) -> int:
        """Change of the cost when among `batch`, `comes` replaces `goes`."""
        joined, left = self.meetings[comes], self.meetings[goes]
        return sum(joined[item] - (left[item] - 1) for item in batch)

    def _exchange(self, comes: int, goes: int, batch: set[int]) -> None:
        for item in batch:
            self._count(comes, item, 1)
            self._count(goes, item, -1)
        batch.add(comes)

    def _count(self, one: int, other: int, change: int) -> None:
        self.meetings[one][other] += change
        self.meetings[other][one] += change
