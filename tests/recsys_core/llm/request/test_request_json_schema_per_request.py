"""A schema held to one question: what it allows, for every purpose that names ids."""

import json
from typing import Annotated

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from recsys_core.explanations.evaluation.llm_judge import EXPLANATION_JUDGE, GivenReason, JudgeInput
from recsys_core.explanations.prompt import EXPLANATION, Cause, ExplainedItem, ExplanationInput
from recsys_core.llm.request.json_schema import (
    Dialect,
    choice,
    each,
    per_request_schema,
    response_format,
    schema_of,
)
from recsys_core.prompt_context.models import Candidate, CandidatesInput, Taste
from recsys_core.rerank.strategies.prompt_level import PROMPT_LEVEL
from recsys_core.rerank.strategies.relevancy import RELEVANCY

ITEMS = tuple(
    ExplainedItem(id=name, title=name, attributes=keys, causes=(Cause(id="a"),))
    for name, keys in (("a", ("genre:Crime", "tag:Heist")), ("b", ("genre:Drama",)), ("c", ()))
)
CANDIDATES = tuple(Candidate(id=one.id, title=one.title) for one in ITEMS)
RANKING = CandidatesInput(taste=Taste(), recent=(), candidates=CANDIDATES)
SCORES = CandidatesInput(taste=Taste(), recent=(), candidates=CANDIDATES)
REASONS = ExplanationInput(taste=Taste(), liked=ITEMS[:1], items=ITEMS)
JUDGED = JudgeInput(
    taste=Taste(), liked=(), reasons=tuple(GivenReason(item=one, sentence="S.") for one in ITEMS)
)
QUESTIONS = [
    (PROMPT_LEVEL, RANKING), (RELEVANCY, SCORES), (EXPLANATION, REASONS),
    (EXPLANATION_JUDGE, JUDGED),
]  # fmt: skip


def validator(purpose, variables):
    sent = response_format(purpose.answer, Dialect.PER_REQUEST, purpose.choices(variables))
    assert sent is not None
    schema = sent["json_schema"]["schema"]
    Draft202012Validator.check_schema(schema)
    assert not {"x-choice", "x-each", "$ref", "$defs"} & set(json.dumps(schema).split('"'))
    return Draft202012Validator(schema)


@pytest.mark.parametrize(("purpose", "variables"), QUESTIONS)
def test_the_rules_answer_fits_and_passes_the_check(purpose, variables) -> None:
    answer = purpose.rule(variables)
    purpose.check(variables, answer)
    validator(purpose, variables).validate(answer.model_dump(mode="json"))


@pytest.mark.parametrize(("purpose", "variables"), QUESTIONS)
def test_other_dialects_know_nothing_of_it(purpose, variables) -> None:
    for text in (
        json.dumps(schema_of(purpose.answer)),
        *(json.dumps(response_format(purpose.answer, one)) for one in list(Dialect)[1:]),
    ):
        assert "x-" not in text
        assert "enum" not in text


def verdicts(check: Draft202012Validator, *answers: object) -> list[bool]:
    return [check.is_valid(one) for one in answers]


def test_a_ranking_names_as_many_ids_as_were_asked_and_no_other() -> None:
    check = validator(PROMPT_LEVEL, RANKING)
    asked = [{"ranking": list(order)} for order in ("cab", "abc", "ab", "abcc", "abx")]
    assert verdicts(check, *asked) == [True, True, False, False, False]


def test_scores_come_for_each_id_in_turn() -> None:
    check = validator(RELEVANCY, SCORES)

    def scores(ids: str, score: int = 5) -> object:
        return {"scores": [{"id": one, "score": score} for one in ids]}

    asked = [scores("abc"), scores("acb"), scores("ab"), scores("aab"), scores("abc", 101)]
    assert verdicts(check, *asked) == [True, False, False, False, False]


def test_a_reason_rests_on_liked_titles_and_its_own_attributes() -> None:
    check = validator(EXPLANATION, REASONS)

    def reasons(liked: list[str], first: list[str], last: list[str]) -> object:
        keys = {"a": first, "b": [], "c": last}
        return {
            "reasons": [
                {"id": name, "sentence": "S.", "liked_ids": liked, "attributes": keys[name]}
                for name in "abc"
            ]
        }

    asked = [
        reasons(["a"], ["tag:Heist"], []), reasons(["b"], [], []), reasons([], ["genre:Drama"], []),
        reasons([], [], ["tag:Heist"]),
    ]  # fmt: skip
    assert verdicts(check, *asked) == [True, False, False, False]


class Plain(BaseModel):
    kind: Annotated[str, Field(json_schema_extra=choice("kinds"))]
    notes: Annotated[tuple[str, ...], Field(max_length=2, json_schema_extra=each("notes"))]


def test_what_has_no_choices_stays_as_it_is() -> None:
    schema = per_request_schema(Plain, {})["properties"]
    assert (schema["kind"]["type"], schema["notes"]["maxItems"]) == ("string", 2)
    assert per_request_schema(Plain, {"kinds": ("x",)})["properties"]["kind"]["enum"] == ["x"]
