"""The default strategy against an oracle that errs in three ways: Kendall's tau per token.

400 users of 20 candidates; standard errors are .001 to .006. Independent errors, half of them
persistent per user and item (a real model repeats its mistakes), and a position bias of three
standard deviations between the first and the last place of a prompt.
"""

from typing import Any

import pytest

from recsys_core.rerank.config import RerankConfig
from tests.oracle import ERROR_MODELS, tau_of

USERS = 400
BARS = {"independent": (0.91, 0.77, 0.59), "persistent": (0.87, 0.69, 0.49),
        "position bias": (0.90, 0.75, 0.58)}  # fmt: skip
ERRORS = (0.1, 0.2, 0.3)


@pytest.mark.parametrize("model", BARS)
def test_the_default_holds_its_bars_at_every_error(model: str) -> None:
    for error, bar in zip(ERRORS, BARS[model], strict=True):
        found = tau_of(RerankConfig(), error, ERROR_MODELS[model], users=USERS)
        assert found.tau >= bar, (model, error, found)


def test_the_default_asks_for_at_most_60_percent_of_the_tokens_of_relevancy() -> None:
    relevancy = tau_of(RerankConfig(strategy="relevancy"), 0.2, {}, users=20)
    assert tau_of(RerankConfig(), 0.2, {}, users=20).tokens <= 0.6 * relevancy.tokens


def test_five_looks_hold_their_bars_at_no_more_tokens_than_relevancy() -> None:
    five: dict[str, Any] = {"looks": 5}
    for error, bar in zip(ERRORS, (0.94, 0.83, 0.68), strict=True):
        found = tau_of(RerankConfig(**five), error, {}, users=USERS)
        assert found.tau >= bar, (error, found)
        assert found.tokens <= 12_000


def test_one_look_is_below_the_bars_so_that_they_can_be_missed() -> None:
    one = tau_of(RerankConfig(looks=1), 0.1, ERROR_MODELS["position bias"], users=100)
    assert one.tau < 0.80 < BARS["position bias"][0]
    assert one.agreement is None


def test_looks_agree_less_the_more_the_model_errs() -> None:
    found = [tau_of(RerankConfig(), error, {}, users=50).agreement for error in ERRORS]
    assert None not in found
    assert found == sorted(found, reverse=True)
