import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.http.backoff import Backoff
from recsys_core.llm.transport.base import SendFailed, read_completion

BACKOFF = Backoff(attempts=5, first_s=1.0, longest_s=20.0)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529, None])
def test_what_may_pass_is_tried_again(status: int | None) -> None:
    assert SendFailed("x", status=status).retryable


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, 307])
def test_what_cannot_pass_is_not(status: int) -> None:
    assert not SendFailed("x", status=status).retryable


def test_an_empty_account_is_not_a_rate_limit() -> None:
    failure = SendFailed('{"code": "insufficient_quota"}', status=429)
    assert failure.fatal
    assert not failure.retryable


@given(st.integers(1, 4), st.integers(), st.floats(0, 20))
def test_waits_grow_with_jitter_and_never_undercut_the_endpoint(
    attempt: int, seed: int, asked: float
) -> None:
    free = BACKOFF.wait(attempt, None, random.Random(seed))
    told = BACKOFF.wait(attempt, asked, random.Random(seed))
    planned = min(20.0, 2.0 ** (attempt - 1))
    assert free is not None
    assert told is not None
    assert 0.5 * planned <= free <= planned
    assert asked < told <= max(planned, asked + 0.02 + 0.1 * planned)


def test_an_endpoint_that_asks_for_too_long_gets_no_further_attempt() -> None:
    assert BACKOFF.wait(1, 21, random.Random(0)) is None


def test_the_last_attempt_is_the_last() -> None:
    assert BACKOFF.wait(4, None, random.Random(0)) is not None
    assert BACKOFF.wait(5, None, random.Random(0)) is None


@pytest.mark.parametrize(
    "body",
    [None, [], "x", {}, {"choices": []}, {"choices": [{}]}, {"choices": [{"message": None}]},
     {"choices": None}, {"choices": [{"message": {"content": [1]}}]}],
)  # fmt: skip
def test_a_body_that_is_no_completion_can_be_tried_again(body: object) -> None:
    with pytest.raises(SendFailed) as error:
        read_completion(body)
    assert error.value.retryable


def test_a_completion_is_read_whole() -> None:
    completion = read_completion({
        "choices": [{
            "message": {"content": [{"text": "a\x00"}, {"text": "\ud800b"}]},
            "finish_reason": "length",
        }],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3,
                  "prompt_tokens_details": {"cached_tokens": 5}},
    })  # fmt: skip
    assert completion.text == "a?b"
    assert completion.cut
    assert (completion.tokens_in, completion.tokens_out, completion.tokens_cached) == (7, 3, 5)
    assert completion.billed
    assert not read_completion({"choices": [{"message": {"content": None}}]}).billed
