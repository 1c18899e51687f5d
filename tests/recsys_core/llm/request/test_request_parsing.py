import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from recsys_core.explanations.evaluation.llm_judge import JudgeAnswer
from recsys_core.llm.providers.base import Purpose
from recsys_core.llm.request.parsing import InvalidAnswer, json_objects, parse


class Question(BaseModel):
    ids: list[str] = ["7"]


class Score(BaseModel):
    id: str
    score: float = Field(ge=0, le=100)


class Scores(BaseModel):
    scores: list[Score] = Field(max_length=3)


def _asked(question: Question, answer: Scores) -> None:
    found = [one.id for one in answer.scores]
    if found != question.ids:
        raise ValueError(f"ids must be {question.ids}, not {found}")


class StrictScore(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str
    score: int = Field(ge=0, le=100)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scores: tuple[StrictScore, ...]


def purpose_of(kind: type[BaseModel]) -> Purpose:
    return Purpose(name="p", answer=kind, rule=None, check=_asked)


PURPOSE = Purpose(name="p", answer=Scores, rule=lambda q: Scores(scores=[]), check=_asked)
GOOD = '{"scores": [{"id": "7", "score": 50}]}'
DRAFT = '{"scores": [{"id": "7", "score": 1}]}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  \n{GOOD}\n\n",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}```",
        f"Of course!\n```JSON\n{GOOD}\n```\nShall I go on {{or not}}?",
        f"Here: {GOOD} Hope this helps.",
        f"```json\n{GOOD}",
        f"<think>{DRAFT} hmm {{</think>{GOOD}",
        f"<THINKING a='b'>\n{DRAFT}\n</THINKING>\n{GOOD}",
        f"so {DRAFT} no\n</think>\n{GOOD}",
        f"{GOOD}\n<think>was that right? {DRAFT}",
        f"First {DRAFT}, but better {GOOD}",
        f"{GOOD} and an empty one {{}}",
        f"\ufeff{GOOD}",
        GOOD.replace("50", '50, "why": "<think> is no tag here"'),
    ],
)
def test_the_answer_is_found(text: str) -> None:
    assert parse(text, PURPOSE, Question()).scores == [Score(id="7", score=50)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("I cannot do that.", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ("{}", "scores: Field required"),
        (GOOD[:-5], "no JSON object"),
        ('{"scores": [{"id": "7", "score": 5}, {"id": "8", "sc', "no JSON object"),
        (f"<think>{GOOD}", "no JSON object"),
        (f"<think>{GOOD}</think>", "no JSON object"),
        (GOOD.replace("50", "101"), "less than or equal to 100"),
        (GOOD.replace("50", "NaN"), "JSON object|Field"),
        (GOOD.replace("50", "Infinity"), "JSON object|Field"),
        (GOOD.replace('"7"', '"8"'), "ids must be"),
        ('{"scores": [{"id":"7","score":1},{"id":"7","score":1}]}', "ids must be"),
        ('{"scores": ' + "[" * 100_000, "no JSON object"),
        ('{"a":' * 50_000, "no JSON object"),
        ("{" * 100_000, "no JSON object"),
        ('{"scores": [{"id": "\\ud800", "score": 1}]}', "no character"),
    ],
)
def test_a_bad_answer_is_told_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(InvalidAnswer, match=told):
        parse(text, PURPOSE, Question())


def test_findings_are_few_and_without_the_input() -> None:
    many = json.dumps({"scores": [{"id": 1, "score": "secret"}] * 3})
    with pytest.raises(InvalidAnswer) as error:
        parse(many, PURPOSE, Question())
    assert "more" in str(error.value)
    assert "secret" not in str(error.value)
    assert len(str(error.value)) < 600


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_prose = st.text(st.characters(exclude_characters="{}`<>", codec="utf-8"), max_size=40)


@given(st.dictionaries(st.text(min_size=1), _json, max_size=4), _prose, _prose, st.booleans())
def test_any_object_survives_prose_around_it(
    value: dict[str, object], before: str, after: str, indent: bool
) -> None:
    text = json.dumps(value, indent=2 if indent else None)
    assert list(json_objects(f"{before}{text}{after}"))[-1] == value


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with pytest.raises(InvalidAnswer):
        parse(text, PURPOSE, Question())


def test_keys_that_nobody_asked_for_are_passed_over() -> None:
    text = '{"why": "x", "scores": [{"id": "7", "score": 50, "title": "T", "also": {"a": [1]}}]}'
    found = parse(text, purpose_of(Strict), Question()).scores
    assert found == (StrictScore(id="7", score=50),)


@pytest.mark.parametrize("value", ["true", "false"])
def test_true_is_no_score(value: str) -> None:
    for kind in (Scores, Strict):
        with pytest.raises(InvalidAnswer, match=f"score: {value} is no number"):
            parse(GOOD.replace("50", value), purpose_of(kind), Question())
    answer = '{"verdicts": [{"id": "7", "supported": true, "convincing": true}]}'
    with pytest.raises(InvalidAnswer, match="convincing: true is no number"):
        parse(answer, Purpose(name="p", answer=JudgeAnswer, rule=None), Question())
    assert parse(answer.replace('g": true', 'g": 2'), Purpose(
        name="p", answer=JudgeAnswer, rule=None), Question()).verdicts[0].supported  # fmt: skip
