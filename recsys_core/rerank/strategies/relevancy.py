"""Pointwise reranking in batches: relevancy scoring (paper, section 2.3, strategy 4).

Every candidate is scored from 0 to 100 in three different batches of five, each time among other
companions and at another place of the prompt; the mean counts. So neither a batch of strong
companions nor a model's position bias decides.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated, ClassVar, Final

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from recsys_core.columns import MAX_ID_CHARS
from recsys_core.concurrency import map_bounded
from recsys_core.llm.providers.base import Choices, Provider, Purpose, Request
from recsys_core.llm.request.json_schema import choice, each
from recsys_core.llm.request.parsing import check_ids
from recsys_core.prompt_context.models import (
    Candidate,
    CandidatesInput,
    UserContext,
)
from recsys_core.rerank.strategies.base import Judged, Strategy, ask
from recsys_core.rerank.strategies.block_design import batches
from recsys_core.rerank.strategies.rule_relevance import relevance

IDS: Final = "ids"


def _whole(value: object) -> object:
    """Models like to write 85.5 where a whole number was asked for."""
    return round(value) if isinstance(value, float) and math.isfinite(value) else value


class ItemScore(BaseModel):
    """How well one candidate fits the user."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    id: Annotated[str, Field(max_length=MAX_ID_CHARS, json_schema_extra=choice(IDS))]
    # The validator comes last: before `Field` it would take the bounds out of the JSON schema.
    score: Annotated[int, Field(ge=0, le=100), BeforeValidator(_whole)]


class RelevancyAnswer(BaseModel):
    """A score for every candidate of the batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scores: Annotated[tuple[ItemScore, ...], Field(max_length=20, json_schema_extra=each(IDS))]


def score_by_rules(variables: CandidatesInput) -> RelevancyAnswer:
    """Judge each candidate by itself, so that companions and order change nothing."""
    return RelevancyAnswer(
        scores=tuple(
            ItemScore(id=candidate.id, score=relevance(variables.taste, candidate))
            for candidate in variables.candidates
        )
    )


def _check(variables: CandidatesInput, answer: RelevancyAnswer) -> None:
    check_ids((one.id for one in variables.candidates), (one.id for one in answer.scores))


def _choices(variables: CandidatesInput) -> Choices:
    return {IDS: [one.id for one in variables.candidates]}


RELEVANCY = Purpose(
    name="relevancy", answer=RelevancyAnswer, rule=score_by_rules, check=_check, choices=_choices
)


@dataclass(frozen=True, kw_only=True)
class RelevancyScoring(Strategy):
    """Pointwise: a score for every candidate, the mean over several batches.

    Attributes:
        batch_size: candidates per request.
        repeats: requests per candidate.
    """

    name: ClassVar[str] = "relevancy"
    asks: ClassVar[str] = "a score for every candidate, in several batches each; the mean counts"
    purpose = RELEVANCY
    batch_size: int = 5
    repeats: int = 3

    def width(self, candidates: int) -> int:
        """All batches."""
        return max(1, math.ceil(candidates * self.repeats / self.batch_size))

    async def judge(
        self, context: UserContext, provider: Provider, rng: np.random.Generator
    ) -> Judged:
        """Mean score per candidate over its batches; a failed batch leaves the others' mean."""
        judged = Judged(verdicts={})
        # By id: a prompt does not change because the graph's order did.
        candidates = sorted(context.candidates, key=lambda one: one.id)
        plan = batches(len(candidates), self.batch_size, self.repeats, rng)
        requests = [_request(context, [candidates[position] for position in one]) for one in plan]

        async def scores(request: _Request) -> dict[str, int]:
            return _scores(request, await ask(provider, request, judged), judged)

        found = await map_bounded(requests, scores, at_once=max(1, len(requests)))
        judged.verdicts = mean_scores(found)
        return judged


_Request = Request[CandidatesInput, RelevancyAnswer]


def _request(context: UserContext, batch: list[Candidate]) -> _Request:
    variables = CandidatesInput(taste=context.taste, recent=context.recent, candidates=tuple(batch))
    return Request(purpose=RELEVANCY, variables=variables, subject=f"user:{context.user}")


def _scores(request: _Request, answer: RelevancyAnswer | None, judged: Judged) -> dict[str, int]:
    """Scores of the ids that were asked for; of one that is named twice, the first counts."""
    asked = {candidate.id for candidate in request.variables.candidates}
    scores: dict[str, int] = {}
    for one in answer.scores if answer is not None else ():
        if one.id in asked:
            scores.setdefault(one.id, one.score)
        else:
            judged.invented += 1
    return scores


def mean_scores(batches_scores: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Mean per id over the batches that scored it."""
    collected: dict[str, list[float]] = defaultdict(list)
    for scores in batches_scores:
        for name, score in scores.items():
            collected[name].append(score)
    return {name: fmean(scores) for name, scores in collected.items()}
