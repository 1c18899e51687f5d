"""Prompt-level reranking (paper, section 2.3, strategy 1): all candidates in one prompt.

One call per user, the cheapest strategy. The candidates are shown in an order shuffled per user,
so that a model which likes the first lines does not hand the graph's order back as its own.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from recsys_core.llm.providers.base import Provider, Purpose
from recsys_core.prompt_context.models import UserCase
from recsys_core.rerank.strategies.base import Judged
from recsys_core.rerank.strategies.listwise import (
    RankingAnswer,
    RankingPurpose,
    check_ranking,
    ids_of,
    place_scores,
    rank_by_rules,
    ranked,
)

PROMPT_LEVEL: Final[RankingPurpose] = Purpose(
    name="prompt_level",
    answer=RankingAnswer,
    rule=rank_by_rules,
    check=check_ranking,
    choices=ids_of,
)


@dataclass(frozen=True, kw_only=True)
class PromptLevel:
    """The strategy."""

    name: ClassVar[str] = "prompt-level"

    def width(self, _: int) -> int:
        """One."""
        return 1

    async def judge(self, case: UserCase, provider: Provider, rng: np.random.Generator) -> Judged:
        """Score by the place in the model's order; what it leaves out has no score."""
        judged = Judged(verdicts={})
        if case.candidates:
            shuffled = rng.permutation(len(case.candidates))
            shown = tuple(case.candidates[place] for place in shuffled)
            order = await ranked(PROMPT_LEVEL, case, shown, provider, judged)
            judged.verdicts = place_scores(order)
        return judged
