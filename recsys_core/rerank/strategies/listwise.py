"""Listwise questions: a prompt shows several candidates, the answer is an order of their ids."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from recsys_core.columns import MAX_ID_CHARS
from recsys_core.llm.providers.base import Choices, Provider, Purpose, Request
from recsys_core.llm.request.json_schema import choice, each
from recsys_core.llm.request.parsing import check_ids
from recsys_core.prompt_context.models import (
    Candidate,
    CandidatesInput,
    UserContext,
)
from recsys_core.rerank.strategies.base import Judged, ask
from recsys_core.rerank.strategies.rule_relevance import fit

IDS = "ids"
TOP: float = 100.0
"""Score of the first place; the last one has 0. The scale of relevancy scoring."""


class RankingAnswer(BaseModel):
    """All ids, the best first."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    ranking: Annotated[
        tuple[Annotated[str, Field(max_length=MAX_ID_CHARS, json_schema_extra=choice(IDS))], ...],
        Field(max_length=200, json_schema_extra=each(IDS)),
    ]


def rank_by_rules(variables: CandidatesInput) -> RankingAnswer:
    """The order of the relevancy rule; equal ones by id, so that the order shown does not count."""
    fitting = sorted(variables.candidates, key=lambda one: (-fit(variables.taste, one), one.id))
    return RankingAnswer(ranking=tuple(one.id for one in fitting))


def check_ranking(variables: CandidatesInput, answer: RankingAnswer) -> None:
    """Refuse an answer that is no permutation of the ids that were asked for.

    Raises:
        ValueError: ids are missing, invented or named twice.
    """
    check_ids((one.id for one in variables.candidates), answer.ranking)


def ids_of(variables: CandidatesInput) -> Choices:
    """The ids that an answer may name."""
    return {IDS: [one.id for one in variables.candidates]}


RankingPurpose = Purpose[CandidatesInput, RankingAnswer]


def ranking_purpose(name: str) -> RankingPurpose:
    """The purpose with the prompt file `name` whose answer ranks all ids that are shown."""
    return Purpose(
        name=name, answer=RankingAnswer, rule=rank_by_rules, check=check_ranking, choices=ids_of
    )


async def ranked(
    purpose: RankingPurpose,
    context: UserContext,
    shown: tuple[Candidate, ...],
    provider: Provider,
    judged: Judged,
) -> tuple[str, ...]:
    """The ids of `shown` in the model's order; those it leaves out are missing.

    Of an id that is named twice the first place counts; invented ids are counted in `judged`, and
    so is a request without an answer, which gives the empty order.
    """
    variables = CandidatesInput(taste=context.taste, recent=context.recent, candidates=shown)
    answer = await ask(
        provider,
        Request(purpose=purpose, variables=variables, subject=f"user:{context.user}"),
        judged,
    )
    given = answer.ranking if answer is not None else ()
    known = {one.id for one in shown}
    judged.invented += sum(one not in known for one in given)
    return tuple(dict.fromkeys(one for one in given if one in known))


def place_scores(order: Sequence[str]) -> dict[str, float]:
    """A score per id, evenly from 100 for the first to 0 for the last."""
    last = max(1, len(order) - 1)
    return {name: TOP * (1 - place / last) for place, name in enumerate(order)}
