import asyncio
import importlib.util
import json
import string
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.errors import BudgetExceeded
from recsys_core.llm.accounting.budget import (
    Budget,
    Ceiling,
    Planned,
    Spending,
    estimate,
    shared_budget,
)
from recsys_core.llm.accounting.prices import Price, price_of
from recsys_core.llm.accounting.tokens import TokenEstimator, believable, guess, likely
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.providers.dry_run import DryRunProvider
from recsys_core.llm.request.chat_request import decoding, reasons
from tests.recsys_core.llm.llm_world import echo


@given(
    st.integers(0, 5000),
    st.lists(st.tuples(st.integers(1, 400), st.floats(0, 1)), max_size=40),
)
def test_the_ceiling_is_never_exceeded_and_is_used(
    ceiling: int, calls: list[tuple[int, float]]
) -> None:
    budget = Budget(Ceiling(tokens=ceiling))
    spent = 0

    async def one(most: int, share: float) -> None:
        nonlocal spent
        wanted = Spending(tokens=most)
        await budget.reserve(wanted)
        await asyncio.sleep(0)
        spent += int(most * share)
        budget.release(wanted, Spending(tokens=spent))

    async def main() -> list[object]:
        return await asyncio.gather(*[one(*call) for call in calls], return_exceptions=True)

    refused = [one for one in asyncio.run(main()) if one is not None]
    assert spent <= ceiling
    assert all(isinstance(one, BudgetExceeded) for one in refused)
    if refused:
        assert ceiling - spent < max(most for most, _ in calls)


def test_a_call_waits_for_those_under_way_before_the_run_ends() -> None:
    budget = Budget(Ceiling(dollars=1.0))

    async def main() -> None:
        first = Spending(dollars=0.9)
        await budget.reserve(first)
        second = asyncio.create_task(budget.reserve(Spending(dollars=0.5)))
        await asyncio.sleep(0.05)
        assert not second.done()
        budget.release(first, Spending(dollars=0.2, tokens=1))
        await second
        with pytest.raises(BudgetExceeded) as error:
            budget.release(Spending(dollars=0.5), Spending(dollars=0.7, tokens=2))
            await budget.reserve(Spending(dollars=0.5))
        for told in ("0.7000 dollars", "max_dollars = 1", "not asked for again", "raise"):
            assert told in str(error.value)

    asyncio.run(main())


def test_a_run_has_one_budget_in_a_process() -> None:
    ceiling = Ceiling(tokens=9)
    first = shared_budget(("u", "r"), ceiling, Spending(tokens=5))
    assert first is shared_budget(("u", "r"), Ceiling(tokens=9), Spending())
    assert first is not shared_budget(("u", "s"), ceiling, Spending())
    assert first.spent.tokens == 5


PLANNED = [
    Planned(purpose="items", calls=1000, tokens_in=500, tokens_out=300),
    Planned(purpose="users", calls=400, tokens_in=1000, tokens_out=300, chain=4),
]


def test_an_estimate_names_calls_tokens_dollars_and_hours() -> None:
    price = Price(tokens_in=1e-6, tokens_out=2e-6)
    config = LLMConfig(model="openai/m", max_in_flight=16, requests_per_minute=70)
    found = estimate(PLANNED, config, price)
    assert (found.calls, found.tokens_in, found.tokens_out) == (1400, 900_000, 420_000)
    assert found.dollars == pytest.approx(0.9 + 0.84)
    assert found.hours == pytest.approx(1400 / 70 / 60)
    by_tokens = LLMConfig(model="openai/m", tokens_per_minute=1320)
    assert estimate(PLANNED, by_tokens, price).hours == pytest.approx(1_320_000 / 1320 / 60)
    by_latency = LLMConfig(model="openai/m", max_in_flight=16)
    assert estimate(PLANNED, by_latency, price).hours == pytest.approx(6 * 1400 / 16 / 3600)
    for told in ("1400 new LLM calls", "900000 tokens in", "1.74 dollars", "hours"):
        assert told in str(found)


def test_an_unknown_price_is_said() -> None:
    found = estimate(PLANNED, LLMConfig(model="openai/m"), Price(known=False))
    assert found.dollars is None
    assert "price unknown" in str(found)
    assert estimate([], LLMConfig(model="openai/m")).hours == 0


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "openai/gpt-4.1-mini"])
def test_prices_come_from_the_bundled_list(model: str) -> None:
    price = price_of(LLMConfig(model=model))
    assert (price.tokens_in, price.tokens_out, price.cached) == (4e-7, 1.6e-6, 1e-7)
    assert price.dollars(1000, 100, 400) == pytest.approx(600 * 4e-7 + 400 * 1e-7 + 100 * 1.6e-6)


def test_prices_of_batches_of_own_and_of_unknown_models() -> None:
    batch = price_of(LLMConfig(model="openai/gpt-4.1-mini", batch=True))
    assert (batch.tokens_in, batch.tokens_out) == (2e-7, 8e-7)
    own = price_of(LLMConfig(model="openai/gpt-4.1-mini", input_price=2, output_price=0))
    assert own.dollars(500_000, 10) == 1.0
    assert not price_of(LLMConfig(model="openai/no-such-model")).known
    assert price_of(LLMConfig(model="azure/no-such-model")).dollars(10, 10) == 0


@pytest.mark.parametrize(
    ("model", "expected"),
    [("openai/o4-mini", True), ("o1", True), ("azure/o3-2025", True), ("openai/gpt-5-mini", True),
     ("openai/gpt-5-chat-latest", False), ("openai/gpt-4o-mini", False), ("ollama/olmo2", False),
     ("openai/gpt-4.1-mini", False)],
)  # fmt: skip
def test_reasoning_models_are_known_by_name(model: str, expected: bool) -> None:
    assert reasons(LLMConfig(model=model)) is expected


def test_reasoning_models_get_room_and_no_temperature() -> None:
    config = LLMConfig(model="openai/o4-mini", temperature=0.5, seed=3,
                       reasoning_tokens=1000, reasoning_effort="low")  # fmt: skip
    expected = {"seed": 3, "max_completion_tokens": 1400, "reasoning_effort": "low"}
    assert decoding(config, 400) == (expected, 1400)
    plain = config.model_copy(update={"reasoning": False})
    assert decoding(plain, 400) == (
        {"seed": 3, "max_tokens": 400, "temperature": 0.5}, 400
    )  # fmt: skip
    silent = LLMConfig(model="openai/m", temperature=None)
    assert decoding(silent, 5) == ({"max_tokens": 5}, 5)


def test_tokens_are_guessed_from_above_and_learned() -> None:
    prose = [{"role": "user", "content": "The quick brown fox jumps over the lazy dog. " * 100}]
    assert 1000 <= guess(prose) <= 3500  # about 1,000 by byte-pair vocabularies
    assert likely(prose) < guess(prose)
    assert guess([{"content": "日本語"}]) >= 9
    tokens = TokenEstimator()
    assert (tokens.prompt(100), tokens.answer("p", 500)) == (100, 500)
    tokens.learn("p", 100, 150, 80)
    tokens.learn("p", 100, 50, 60)
    assert (tokens.prompt(100), tokens.answer("p", 500), tokens.answer("q", 500)) == (150, 80, 500)


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        # Counted by cl100k_base; larger vocabularies count less.
        (json.dumps(["B00005N7P0", "B0A1WXQZ7K", "B07XJ8C8F5"] * 33), 1023),
        (json.dumps({"id": "B00005N7P0", "title": "The Matrix", "year": 1999}) * 30, 780),
        ("!?#$%^&*()_+-=[]{}|;:,./" * 40, 560), ("QXZKJVWPGH" * 100, 701),
        ("a b c d e f g h i j " * 50, 501), ("1 2 3 4 5 6 7 8 9 0 " * 50, 1000),
        ("a\nB\n" * 250, 1000),
    ],
)  # fmt: skip
def test_no_text_of_ids_and_marks_is_guessed_too_low(text: str, counted: int) -> None:
    assert guess([{"content": text}]) >= counted


ALPHABETS = [
    "0123456789abcdef-", string.ascii_lowercase, "xzqjkvwpg", "bcdfghjklmnpqrstvwxz2456789",
    string.ascii_uppercase, "XZQJKVWPG", string.ascii_uppercase + string.digits,
    string.ascii_letters, string.ascii_letters + string.digits, string.printable, " \t\n",
    "ăâîșțžšďřůłńśźż", "aä bö",
    "".join(map(chr, range(0xE0020, 0xE007F))),
]  # fmt: skip


@pytest.mark.parametrize("vocabulary", ["cl100k_base", "o200k_base", "p50k_base"])
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_no_vocabulary_counts_more_than_was_guessed(
    monkeypatch: pytest.MonkeyPatch, vocabulary: str, alphabet: str
) -> None:
    """Random ids of 1 to 40 characters, by the vocabularies that litellm brings along."""
    encoding = bytepairs(monkeypatch, vocabulary)
    random = Random(alphabet)
    for length in (1, 2, 3, 4, 6, 8, 10, 16, 22, 40):
        for between in (" ", "\n", '", "'):
            ids = ["".join(random.choices(alphabet, k=length)) for _ in range(40)]
            text = between.join(ids)
            counted = len(encoding.encode(text, disallowed_special=()))
            assert guess([{"content": text}]) - 8 >= counted, (length, between)


def bytepairs(monkeypatch: pytest.MonkeyPatch, vocabulary: str) -> Any:
    tiktoken = pytest.importorskip("tiktoken")
    litellm = importlib.util.find_spec("litellm")
    if litellm is None or not litellm.submodule_search_locations:
        pytest.skip("litellm is not installed")
    folder = Path(litellm.submodule_search_locations[0], "litellm_core_utils", "tokenizers")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    return tiktoken.get_encoding(vocabulary)


@pytest.mark.parametrize(("told", "believed"), [(0, False), (6, False), (7, True), (30, True)])
def test_a_count_that_no_text_can_have_is_not_believed(told: int, believed: bool) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 3
    assert believable(told, text) is believed


def test_a_text_without_words_has_a_token_at_least() -> None:
    assert believable(1, "\n" * 3000)
    assert believable(0, "")
    assert not believable(0, "日本語")


def test_a_plan_counts_every_distinct_request_once_and_asks_nobody() -> None:
    provider = DryRunProvider(LLMConfig(model="openai/m"))

    async def main() -> list[str]:
        replies = [await provider.ask(echo(word)) for word in ("a", "b" * 300, "a")]
        return [reply.model for reply in replies]

    assert asyncio.run(main()) == ["openai/m"] * 3
    (made,) = provider.planned()
    assert (made.purpose, made.calls) == ("echo", 2)
    assert 50 < made.tokens_in < 400
    assert made.tokens_out >= 1
    assert provider.usage().calls.is_empty()
