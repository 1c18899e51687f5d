"""Listwise reranking by a sliding window (RankGPT, Sun et al. 2023).

A window of `window` candidates moves from the end of the graph's order to its beginning in steps
of `stride`; each answer puts the window's candidates in order, and the best ones move on with the
next window. One pass: the first `window - stride` places are those that a consistent model would
give, later ones depend on the graph. A list no longer than the window is one question.

The windows rest on the graph's order, so that a change of the order asks anew, other than with
the other strategies.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from recsys_core.llm.providers.base import Provider
from recsys_core.prompt_context.models import UserContext
from recsys_core.rerank.strategies.base import Judged, Strategy
from recsys_core.rerank.strategies.listwise import place_scores, ranked, ranking_purpose

SLIDING_WINDOW: Final = ranking_purpose("sliding_window")


@dataclass(frozen=True, kw_only=True)
class SlidingWindow(Strategy):
    """Listwise in windows from the end of the list to its beginning.

    Attributes:
        window: candidates per request.
        stride: candidates by which the window moves; fewer than `window`.
    """

    name: ClassVar[str] = "sliding-window"
    asks: ClassVar[str] = "rankings of windows of `window`, from the end of the list, in one pass"
    purpose = SLIDING_WINDOW
    exact = False
    window: int = 10
    stride: int = 5

    def width(self, candidates: int) -> int:
        """One window after the other."""
        del candidates
        return 1

    async def judge(
        self, context: UserContext, provider: Provider, rng: np.random.Generator
    ) -> Judged:
        """Score by the place after the last window; an item that no answer names has no score."""
        if len(context.candidates) == 1:
            return Judged(verdicts=place_scores([context.candidates[0].id]))  # nothing to compare
        judged, named = Judged(verdicts={}), set[str]()
        order = list(context.candidates)
        for start in window_starts(len(order), self.window, self.stride):
            part = order[start : start + self.window]
            # Shuffled, so that a position bias does not return the order as it was.
            shown = tuple(part[position] for position in rng.permutation(len(part)))
            answer = await ranked(SLIDING_WINDOW, context, shown, provider, judged)
            by_id = {one.id: one for one in part}
            rest = [one for one in part if one.id not in answer]
            order[start : start + self.window] = [*(by_id[name] for name in answer), *rest]
            named |= set(answer)
        judged.verdicts = place_scores([one.id for one in order if one.id in named])
        return judged


def window_starts(n_items: int, window: int, stride: int) -> list[int]:
    """Where windows start, the last one first; together they cover every item."""
    if n_items <= 1:
        return []
    return [*range(n_items - window, 0, -stride), 0]
