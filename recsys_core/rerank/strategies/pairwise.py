"""Pairwise reranking (paper, section 2.3, strategy 2): a search tree sorts by comparisons of two.

About n log2 n comparisons per user (some 65 for 20 candidates), one after the other, since each
depends on the last; the comparisons of different users run at the same time. Which of the two is
shown first is drawn per pair. With `both_orders` both ways are asked: where they disagree each
counts half, which is a tie, and a tie leaves the graph's order.
"""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict

from recsys_core.concurrency import map_bounded
from recsys_core.llm.providers.base import Provider, Purpose, Request
from recsys_core.prompt_context.models import Candidate, PromptModel, RecentItem, Taste, UserContext
from recsys_core.rerank.strategies.base import Judged, Strategy, ask
from recsys_core.rerank.strategies.listwise import place_scores
from recsys_core.rerank.strategies.prompt_order import drawn_order
from recsys_core.rerank.strategies.rule_relevance import fit
from recsys_core.rerank.strategies.search_tree import AvlTree


class PairInput(PromptModel):
    """A user's taste and two candidates, A and B."""

    taste: Taste
    recent: tuple[RecentItem, ...]
    candidates: tuple[Candidate, Candidate]


def _letter(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


class PairAnswer(BaseModel):
    """Which of the two fits better."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    better: Annotated[Literal["A", "B"], BeforeValidator(_letter)]


def compare_by_rules(variables: PairInput) -> PairAnswer:
    """The one that the relevancy rule scores higher; of equal ones the lower id."""
    first, second = ((-fit(variables.taste, one), one.id) for one in variables.candidates)
    return PairAnswer(better="A" if first < second else "B")


PAIRWISE: Final[Purpose[PairInput, PairAnswer]] = Purpose(
    name="pairwise", answer=PairAnswer, rule=compare_by_rules
)


@dataclass(frozen=True, kw_only=True)
class PairwiseTree(Strategy):
    """Pairwise: comparisons of two, in a self-balancing binary search tree.

    Attributes:
        both_orders: ask every pair both ways; twice the calls.
    """

    name: ClassVar[str] = "pairwise"
    asks: ClassVar[str] = "the better one of two, in a balanced search tree"
    purpose = PAIRWISE
    both_orders: bool = False

    def width(self, _: int) -> int:
        """One comparison at a time, or both orders of it."""
        return 2 if self.both_orders else 1

    async def judge(
        self, context: UserContext, provider: Provider, rng: np.random.Generator
    ) -> Judged:
        """Score by the place in the tree; an item without any answered comparison has none."""
        if len(context.candidates) == 1:
            return Judged(verdicts=place_scores((context.candidates[0].id,)))  # nothing to compare
        comparator = _Comparator(context=context, provider=provider, rng=rng, both=self.both_orders)
        tree = AvlTree(comparator.precedes)
        for place in drawn_order(context, rng):
            await tree.insert(place)
        order = tuple(context.candidates[one].id for one in tree if one in comparator.answered)
        comparator.judged.verdicts = place_scores(order)
        return comparator.judged


@dataclass(kw_only=True)
class _Comparator:
    """Comparisons of one user's candidates, by their places in the graph's order."""

    context: UserContext
    provider: Provider
    rng: np.random.Generator
    both: bool
    judged: Judged = field(default_factory=lambda: Judged(verdicts={}))
    answered: set[int] = field(default_factory=set)
    _known: dict[tuple[int, int], bool] = field(default_factory=dict)

    async def precedes(self, one: int, other: int) -> bool:
        """Whether `one` comes before `other`; asked once, whichever way it is called."""
        pair = (min(one, other), max(one, other))
        if pair not in self._known:
            self._known[pair] = await self._first_wins(*pair)
        return self._known[pair] == (one == pair[0])

    async def _first_wins(self, first: int, second: int) -> bool:
        """Whether the one that the graph ranks higher stays before the other."""
        lower_id_first = bool(self.rng.integers(2))
        one, other = (self.context.candidates[place].id for place in (first, second))
        shown = (one < other) == lower_id_first
        orders = [shown, not shown] if self.both else [shown]

        async def share(in_order: bool) -> float:
            return await self._share(first, second, in_order=in_order)

        shares = await map_bounded(orders, share, at_once=len(orders))
        # Exactly half, by disagreement or for want of an answer: the graph's order stays.
        return sum(shares) >= len(orders) / 2

    async def _share(self, first: int, second: int, *, in_order: bool) -> float:
        """1 if the model prefers `first`, 0 if `second`, a half if it gives no answer."""
        places = (first, second) if in_order else (second, first)
        one, other = (self.context.candidates[place] for place in places)
        variables = PairInput(
            taste=self.context.taste, recent=self.context.recent, candidates=(one, other)
        )
        request = Request(
            purpose=PAIRWISE, variables=variables, subject=f"user:{self.context.user}"
        )
        answer = await ask(self.provider, request, self.judged)
        if answer is None:
            return 0.5
        self.answered |= {first, second}
        return float((answer.better == "A") == in_order)
