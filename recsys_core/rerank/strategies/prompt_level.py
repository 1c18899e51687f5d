"""Listwise reranking in one prompt (the paper's prompt-level strategy, section 2.3, strategy 1).

Every call shows all candidates. With several *looks* (permutation self-consistency, Tang et al.
2024) the same question is asked in orders that rotate and reverse blocks of the candidates, so
that a position bias cancels, and the rankings are merged by mean place (Borda count). Three looks
reach the accuracy of relevancy scoring for about half of its tokens; a model that repeats its
mistakes gains nothing from more. How far the looks agree is measured: a judge whose looks
disagree knows little about this user's candidates.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from recsys_core.concurrency import map_bounded
from recsys_core.llm.providers.base import Provider
from recsys_core.prompt_context.models import UserContext
from recsys_core.rerank.strategies.base import Judged, Strategy
from recsys_core.rerank.strategies.listwise import TOP, ranked, ranking_purpose
from recsys_core.rerank.strategies.prompt_order import drawn_order, rotated_blocks
from recsys_core.rerank.strategies.rank_aggregation import mean_places, split_half_tau

PROMPT_LEVEL: Final = ranking_purpose("prompt_level")


@dataclass(frozen=True, kw_only=True)
class PromptLevel(Strategy):
    """Listwise: rankings of all candidates, merged by mean place.

    Attributes:
        looks: requests per user, each with the candidates in another order.
    """

    name: ClassVar[str] = "prompt-level"
    asks: ClassVar[str] = "rankings of all candidates, `looks` times in other orders; Borda count"
    purpose = PROMPT_LEVEL
    looks: int = 3

    def width(self, candidates: int) -> int:
        """All looks."""
        del candidates
        return self.looks

    async def judge(
        self, context: UserContext, provider: Provider, rng: np.random.Generator
    ) -> Judged:
        """Score by the mean place; what no look names has no score."""
        judged = Judged(verdicts={})
        n_items = len(context.candidates)
        if not n_items:
            return judged

        async def look(order: tuple[int, ...]) -> tuple[str, ...]:
            shown = tuple(context.candidates[place] for place in order)
            return await ranked(PROMPT_LEVEL, context, shown, provider, judged)

        orders = rotated_blocks(drawn_order(context, rng), self.looks)
        answers = await map_bounded(orders, look, at_once=self.looks)
        rankings = [answer for answer in answers if answer]
        ids = [one.id for one in context.candidates]
        named, last = set().union(*rankings), max(1, n_items - 1)
        judged.verdicts = {
            name: TOP * (1 - place / last)
            for name, place in mean_places(rankings, ids).items()
            if name in named
        }
        judged.agreement = split_half_tau(rankings, ids)
        return judged
