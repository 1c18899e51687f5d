"""Listwise reranking in one prompt (the paper's prompt-level strategy, section 2.3, strategy 1).

One call per user shows all candidates, the fewest calls of all strategies. They are shuffled per
user, so that a model with a position bias does not return the graph's order as its own.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from recsys_core.llm.providers.base import Provider
from recsys_core.prompt_context.models import UserContext
from recsys_core.rerank.strategies.base import Judged, Strategy
from recsys_core.rerank.strategies.listwise import place_scores, ranked, ranking_purpose

PROMPT_LEVEL: Final = ranking_purpose("prompt_level")


@dataclass(frozen=True, kw_only=True)
class PromptLevel(Strategy):
    """Listwise: one ranking of all candidates."""

    name: ClassVar[str] = "prompt-level"
    asks: ClassVar[str] = "one ranking of all candidates"
    purpose = PROMPT_LEVEL

    def width(self, _: int) -> int:
        """One."""
        return 1

    async def judge(
        self, context: UserContext, provider: Provider, rng: np.random.Generator
    ) -> Judged:
        """Score by the place in the model's order; what it leaves out has no score."""
        judged = Judged(verdicts={})
        if context.candidates:
            shuffled = rng.permutation(len(context.candidates))
            shown = tuple(context.candidates[place] for place in shuffled)
            order = await ranked(PROMPT_LEVEL, context, shown, provider, judged)
            judged.verdicts = place_scores(order)
        return judged
