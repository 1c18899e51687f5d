"""Listwise reranking of overlapping batches (paper, section 2.3, strategy 3).

Batches of five slide over the present order, each sharing `overlap` items with the next; their
rankings are merged by rank aggregation (ranked pairs, `rank_aggregation`), and batches slide over
the merged order again.
Only batches are asked in which two neighbours have not met yet, and when all neighbours have,
nothing is left to ask: an order in which every two neighbours were compared is the only one that
agrees with a consistent model, so such a model's order is found exactly. One pass alone could not
do that: items far apart in the graph's order would never meet.

The first pass follows the graph's order, so that close rivals meet first; inside a batch the
items are shuffled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

import numpy as np

from recsys_core.concurrency import map_bounded
from recsys_core.llm.providers.base import Provider
from recsys_core.prompt_context.models import UserContext
from recsys_core.rerank.strategies.base import Judged, Strategy
from recsys_core.rerank.strategies.listwise import place_scores, ranked, ranking_purpose
from recsys_core.rerank.strategies.rank_aggregation import Comparisons

OVERLAPPING: Final = ranking_purpose("overlapping")
Batch = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class OverlappingBatches(Strategy):
    """Listwise in overlapping batches, merged by ranked pairs.

    Attributes:
        batch_size: candidates per request.
        overlap: candidates that a batch shares with the next one, at least 1.
    """

    name: ClassVar[str] = "overlapping"
    asks: ClassVar[str] = "rankings of overlapping batches until all neighbours have met"
    purpose = OVERLAPPING
    batch_size: int = 5
    overlap: int = 2

    def width(self, candidates: int) -> int:
        """The batches of a first pass; later ones have fewer."""
        return max(1, len(windows(range(candidates), self.batch_size, self.overlap)))

    async def judge(
        self, context: UserContext, provider: Provider, rng: np.random.Generator
    ) -> Judged:
        """Score by the place in the merged order; an item that no answer names has no score."""
        if len(context.candidates) == 1:
            return Judged(verdicts=place_scores((context.candidates[0].id,)))  # nothing to compare
        judged = Judged(verdicts={})
        places = {one.id: place for place, one in enumerate(context.candidates)}
        votes, asked = Comparisons(len(places)), set[frozenset[int]]()
        named: set[str] = set()

        async def rank(batch: Batch) -> tuple[str, ...]:
            shown = tuple(context.candidates[place] for place in batch)
            return await ranked(OVERLAPPING, context, shown, provider, judged)

        while batches := self._open(votes, asked):
            asked.update(map(frozenset, batches))
            shuffled = [tuple(map(int, rng.permutation(batch))) for batch in batches]
            for answer in await map_bounded(shuffled, rank, at_once=len(shuffled)):
                votes.add([places[name] for name in answer])
                named.update(answer)
        order = [context.candidates[place].id for place in votes.order()]
        judged.verdicts = place_scores(tuple(name for name in order if name in named))
        return judged

    def _open(self, votes: Comparisons, asked: set[frozenset[int]]) -> list[Batch]:
        """Batches of the present order in which two neighbours have not met yet."""
        return [
            batch
            for batch in windows(votes.order(), self.batch_size, self.overlap)
            if frozenset(batch) not in asked
            and any((min(pair), max(pair)) not in votes.seen for pair in pairwise(batch))
        ]


def windows(order: Sequence[int], size: int, overlap: int) -> list[Batch]:
    """Consecutive batches of `size`, each with `overlap` items of the one before it.

    The last one ends with the last item, so it may share more; every item is in one, and every
    two neighbours are in one together.
    """
    if len(order) <= size:
        return [tuple(order)] if len(order) > 1 else []
    starts = [*range(0, len(order) - size, size - overlap), len(order) - size]
    return [tuple(order[start : start + size]) for start in starts]
