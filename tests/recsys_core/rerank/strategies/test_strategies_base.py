import asyncio
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys_core.errors import (
    BudgetExceeded,
    LLMDown,
    LLMError,
    LLMRefused,
    LLMStopped,
    LLMUnavailable,
)
from recsys_core.llm.providers.base import Request
from recsys_core.rerank.strategies.base import Completed, Judged, complete, judge_safely
from recsys_core.rerank.strategies.relevancy import (
    RELEVANCY,
    ItemScore,
    RelevancyAnswer,
    RelevancyScoring,
    mean_scores,
)
from tests.rerank_world import Scripted, context

ids = st.sampled_from([f"a{n}" for n in range(8)] + ["invented", ""])


def judge(provider: Scripted, n_items: int = 20, **fields: int) -> Completed:
    return asyncio.run(
        judge_safely(
            RelevancyScoring(**fields), context(n_items), provider, np.random.default_rng(0)
        )
    )


def answer(**scores: int) -> RelevancyAnswer:
    return RelevancyAnswer(scores=tuple(ItemScore(id=k, score=v) for k, v in scores.items()))


def honest(request: Request[Any, Any]) -> RelevancyAnswer:
    """The score is the number in the id."""
    asked = [one.id for one in request.variables.candidates]
    return answer(**{name: int(name[1:]) for name in asked})


@given(st.dictionaries(ids, st.none() | st.floats(allow_nan=True, allow_infinity=True)))
def test_complete_loses_invents_and_repeats_nothing(verdicts: dict[str, float | None]) -> None:
    done = complete(context(8), Judged(verdicts=verdicts))
    assert len(done.scores) == 8
    assert done.invented == len({"invented", ""} & verdicts.keys())
    for n, score in enumerate(done.scores):
        given_score = verdicts.get(f"a{n}")
        usable = given_score is not None and math.isfinite(given_score)
        assert score == (given_score if usable else None)
    assert done.missing == sum(score is None for score in done.scores)


def test_every_item_is_asked_about_three_times_among_different_companions() -> None:
    provider = Scripted(honest, checked=True)
    done = judge(provider)
    assert done.scores == tuple(range(20))
    assert (done.missing, done.invented, done.failed_requests) == (0, 0, 0)
    assert done.models == {"scripted": 12}
    batches = [[one.id for one in asked.variables.candidates] for asked in provider.asked]
    assert all(len(batch) == 5 for batch in batches)
    for n in range(20):
        own = [set(batch) - {f"a{n}"} for batch in batches if f"a{n}" in batch]
        assert len(own) == 3
        assert len(set().union(*own)) == 12


def test_the_mean_of_the_three_counts() -> None:
    scores = iter(range(100))

    def rising(request: Request[Any, Any]) -> RelevancyAnswer:
        score = next(scores)
        return answer(**{one.id: score for one in request.variables.candidates})

    provider = Scripted(rising)
    done = judge(provider)
    for n in range(20):
        own = [
            place
            for place, asked in enumerate(provider.asked)
            if any(one.id == f"a{n}" for one in asked.variables.candidates)
        ]
        assert done.scores[n] == pytest.approx(sum(own) / 3)
    assert mean_scores([{"a": 1, "b": 5}, {"a": 2}, {}]) == {"a": 1.5, "b": 5}


def test_a_failed_batch_leaves_the_other_judgements() -> None:
    calls = iter(range(12))

    def moody(request: Request[Any, Any]) -> RelevancyAnswer:
        if next(calls) == 3:
            raise LLMUnavailable("429")
        return honest(request)

    done = judge(Scripted(moody))
    assert done.scores == tuple(range(20))
    assert done.failed_requests == 1


def test_a_model_that_always_fails_leaves_no_score() -> None:
    def failing(request: Request[Any, Any]) -> RelevancyAnswer:
        raise LLMUnavailable("503")

    done = judge(Scripted(failing))
    assert done.scores == (None,) * 20
    assert done.failed_requests == 12


@pytest.mark.parametrize("error", [BudgetExceeded, LLMRefused, LLMStopped, LLMDown])
def test_what_concerns_every_user_is_not_swallowed(error: type[LLMError]) -> None:
    def stop(request: Request[Any, Any]) -> RelevancyAnswer:
        raise error("no more")

    with pytest.raises(error):
        judge(Scripted(stop))


class Liar:
    """Answers with whatever the test draws: ids lost, invented, doubled, or an error."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def __call__(self, request: Request[Any, Any]) -> RelevancyAnswer:
        if self.data.draw(st.booleans()):
            raise self.data.draw(st.sampled_from([LLMUnavailable, LLMError]))("lost")
        names = self.data.draw(st.lists(ids, max_size=12))
        return RelevancyAnswer(
            scores=tuple(
                ItemScore(id=name, score=self.data.draw(st.integers(0, 100))) for name in names
            )
        )


@given(st.data(), st.integers(0, 8))
def test_whatever_a_lying_model_says_the_list_stays_whole(
    data: st.DataObject, n_items: int
) -> None:
    done = judge(Scripted(Liar(data)), n_items=n_items)
    assert len(done.scores) == n_items
    assert all(score is None or 0 <= score <= 100 for score in done.scores)


def test_a_score_for_an_item_of_another_batch_does_not_count() -> None:
    def meddling(request: Request[Any, Any]) -> RelevancyAnswer:
        asked = {one.id: 10 for one in request.variables.candidates}
        return answer(**{f"a{n}": 99 for n in range(20)} | asked)

    done = judge(Scripted(meddling))
    assert done.scores == (10.0,) * 20
    assert done.invented == 12 * 15


BAD_ANSWERS: list[tuple[tuple[str, ...], str]] = [
    ((), r'missing: \["a0", "a1"'),
    (("a0",), r'missing: \["a1"'),
    (("a0", "a1", "a9"), r'not asked for: \["a9"'),
    (("a0", "a1", "a1"), r'named twice: \["a1"'),
    (("Same title", "a1"), r'missing: \["a0"'),
    (("A0", "a1"), r'not asked for: \["A0"'),
]


@pytest.mark.parametrize(("names", "message"), BAD_ANSWERS)
def test_the_check_tells_the_model_what_is_wrong(names: tuple[str, ...], message: str) -> None:
    request = Request(
        purpose=RELEVANCY,
        variables=RELEVANCY_INPUT,
        subject="user:7",
    )
    given_answer = RelevancyAnswer(scores=tuple(ItemScore(id=name, score=1) for name in names))
    with pytest.raises(ValueError, match=message):
        request.purpose.check(request.variables, given_answer)


def _captured() -> Any:
    provider = Scripted(honest)
    judge(provider, n_items=2)
    return next(one.variables for one in provider.asked if one.variables.candidates[0].id == "a0")


RELEVANCY_INPUT = _captured()


@pytest.mark.parametrize(
    ("raw", "score"), [('{"id": 3, "score": 85.4}', 85), ('{"id": "3", "score": 7}', 7)]
)
def test_numbers_as_models_write_them(raw: str, score: int) -> None:
    assert ItemScore.model_validate_json(raw) == ItemScore(id="3", score=score)


@pytest.mark.parametrize(
    "raw",
    ['{"id": "3"}', '{"id": "3", "score": 101}', '{"id": "3", "score": -1}',
     '{"id": "3", "score": null}', '{"id": "3", "score": 5, "why": "x"}',
     '{"id": "3", "score": NaN}'],
)  # fmt: skip
def test_bad_scores_are_refused(raw: str) -> None:
    with pytest.raises(ValidationError):
        ItemScore.model_validate_json(raw)
