"""Setwise reranking (Zhuang et al. 2024): sorting by questions for the best of a few candidates.

A tournament tree: candidates meet in groups of `batch_size`, the winners of groups meet again.
The winner of all is the first place; without it only the groups on its path are asked anew, since
the others' winners are known. Some 32 calls order 20 candidates in groups of five, against 63
comparisons of two. Only answers in words are asked for, no log probabilities.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recsys_core.columns import MAX_ID_CHARS
from recsys_core.concurrency import map_bounded
from recsys_core.llm.providers.base import Provider, Purpose, Request
from recsys_core.llm.request.json_schema import choice
from recsys_core.llm.request.templates import as_json
from recsys_core.prompt_context.models import CandidatesInput, UserContext
from recsys_core.rerank.strategies.base import Judged, Strategy, ask
from recsys_core.rerank.strategies.listwise import IDS, ids_of, place_scores, rank_by_rules
from recsys_core.rerank.strategies.prompt_order import drawn_order

Tree = int | list["Tree"]
"""A candidate's place in the graph's order, or a group of trees."""


class BestAnswer(BaseModel):
    """The id of the candidate that fits best."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    best: Annotated[str, Field(max_length=MAX_ID_CHARS, json_schema_extra=choice(IDS))]


def best_by_rules(variables: CandidatesInput) -> BestAnswer:
    """The first of the relevancy rule's order."""
    return BestAnswer(best=rank_by_rules(variables).ranking[0])


def _check(variables: CandidatesInput, answer: BestAnswer) -> None:
    ids = [one.id for one in variables.candidates]
    if answer.best not in ids:
        raise ValueError(f"{as_json([answer.best])} is not among the ids asked for: {as_json(ids)}")


SETWISE: Final[Purpose[CandidatesInput, BestAnswer]] = Purpose(
    name="setwise", answer=BestAnswer, rule=best_by_rules, check=_check, choices=ids_of
)


@dataclass(frozen=True, kw_only=True)
class Setwise(Strategy):
    """Setwise: the best of a few, in a tournament tree.

    Attributes:
        batch_size: candidates per request.
    """

    name: ClassVar[str] = "setwise"
    asks: ClassVar[str] = "the best of `batch_size` candidates, in a tournament tree"
    purpose = SETWISE
    batch_size: int = 5

    def width(self, candidates: int) -> int:
        """The groups of the first round; later questions come one by one."""
        return max(1, candidates // self.batch_size)

    async def judge(
        self, context: UserContext, provider: Provider, rng: np.random.Generator
    ) -> Judged:
        """Score by the order of the winners; an item in no answered question has no score."""
        n_items = len(context.candidates)
        if n_items <= 1:
            return Judged(verdicts=place_scores([one.id for one in context.candidates]))
        tournament = _Tournament(context=context, provider=provider, rng=rng)
        root = tournament_tree(drawn_order(context, rng), self.batch_size)
        order: list[int] = []
        while (winner := await tournament.winner(root)) is not None:
            order.append(winner)
            tournament.placed.add(winner)
        judged = tournament.judged
        judged.verdicts = place_scores(
            [context.candidates[place].id for place in order if place in tournament.answered]
        )
        return judged


def tournament_tree(items: Sequence[int], size: int) -> Tree:
    """Groups of at most `size` trees, until one is left."""
    level: list[Tree] = list(items)
    while len(level) > 1:
        level = [level[start : start + size] for start in range(0, len(level), size)]
    return level[0]


@dataclass(kw_only=True)
class _Tournament:
    """One user's questions; no set of candidates is asked about twice."""

    context: UserContext
    provider: Provider
    rng: np.random.Generator
    judged: Judged = field(default_factory=lambda: Judged(verdicts={}))
    answered: set[int] = field(default_factory=set)
    placed: set[int] = field(default_factory=set)
    _known: dict[frozenset[int], int] = field(default_factory=dict)

    async def winner(self, tree: Tree) -> int | None:
        """The best candidate of `tree` that has no place yet; None if all have one."""
        if isinstance(tree, int):
            return None if tree in self.placed else tree
        found = await map_bounded(tree, self.winner, at_once=len(tree))
        open_places = [place for place in found if place is not None]
        if len(open_places) <= 1:
            return open_places[0] if open_places else None
        group = frozenset(open_places)
        if group not in self._known:
            self._known[group] = await self._best(open_places)
        return self._known[group]

    async def _best(self, places: list[int]) -> int:
        """The model's choice; without one, the candidate that the graph ranks highest."""
        shown = [places[position] for position in self.rng.permutation(len(places))]
        variables = CandidatesInput(
            taste=self.context.taste,
            recent=self.context.recent,
            candidates=tuple(self.context.candidates[place] for place in shown),
        )
        subject = f"user:{self.context.user}"
        request = Request(purpose=SETWISE, variables=variables, subject=subject)
        answer = await ask(self.provider, request, self.judged)
        by_id = {self.context.candidates[place].id: place for place in places}
        if answer is None:
            return min(places)
        if answer.best not in by_id:
            self.judged.invented += 1
            return min(places)
        self.answered |= set(places)
        return by_id[answer.best]
