"""The client against a hostile server; what happened is read from the server's own file."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from recsys_core import columns as c
from recsys_core.errors import (
    BudgetExceeded,
    ConfigError,
    LLMError,
    LLMRefused,
    LLMUnavailable,
)
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.llm.providers.base import Request, Usage
from tests.fake_openai import FakeOpenAI
from tests.recsys_core.llm.llm_world import Echo, Row, Word, echo, script

ROOT = Path(__file__).resolve().parents[4]
Make = Callable[..., LLMConfig]
GOOD = Echo(word="text", rows=[Row(id="text")])


def ask_all(
    config: LLMConfig, requests: Sequence[Request[Word, Echo]], **options: Any
) -> tuple[list[Any], Usage]:
    """Replies (or the errors raised), and the usage."""

    async def main() -> tuple[list[Any], Usage]:
        async with open_provider(config, **options) as provider:
            asked = [provider.ask(request) for request in requests]
            return await asyncio.gather(*asked, return_exceptions=True), provider.usage()

    return asyncio.run(main())


def ask(config: LLMConfig, words: str, **options: Any) -> tuple[Any, Usage]:
    replies, usage = ask_all(config, [script(words)], **options)
    return replies[0], usage


def check_ledger(usage: Usage, server: FakeOpenAI) -> None:
    """Every request that the server saw is an attempt of one row."""
    assert usage.calls[c.ATTEMPTS].sum() == len(server.requests())


@pytest.mark.parametrize(
    ("words", "attempts"),
    [
        ("ok", 1), ("fenced", 1), ("prose", 1), ("think", 1), ("nousage", 1),
        ("500 ok", 2), ("503 502 504 ok", 4), ("408 ok", 2), ("409 ok", 2), ("529 ok", 2),
        ("429/0.1 ok", 2), ("reset ok", 2), ("close ok", 2), ("halfbody ok", 2), ("html ok", 2),
        ("nochoices ok", 2),
    ],
)  # fmt: skip
def test_a_valid_answer_in_the_end(
    server: FakeOpenAI, config: Make, words: str, attempts: int
) -> None:
    reply, usage = ask(config(), words)
    assert (reply.answer, reply.status, reply.model) == (GOOD, "ok", "openai/fake")
    assert reply.prompt_version == "echo-1"
    row = usage.calls.row(-1, named=True)
    assert (usage.calls[c.ATTEMPTS].sum(), row[c.VERDICT]) == (attempts, "ok")
    assert set(usage.calls[c.VERDICT][:-1]) <= {"lost"}
    assert row[c.SUBJECT] == f"word:[fake: {words}] "[:25]
    assert len(server.requests()) == attempts
    assert usage.facts.get("retries", 0) == attempts - 1
    assert row[c.TOKENS_IN] > 0
    assert row[c.TOKENS_OUT] > 0


@pytest.mark.parametrize(
    ("words", "second"),
    [("empty", "empty"), ("cutjson", "cut off"), ("wrong", "no such id"),
     ("duplicate", "text once"), ("extra", "one too many")],
)  # fmt: skip
def test_an_invalid_answer_gets_one_repair_that_names_the_problem(
    server: FakeOpenAI, config: Make, words: str, second: str
) -> None:
    server.rule = lambda received: "ok" if "not valid" in received.text else words
    reply, usage = ask(config(), "any")
    assert (reply.answer, reply.status) == (GOOD, "repaired")
    _, repair = server.requests()
    assert second in repair["last"]
    assert usage.calls[c.VERDICT].to_list() == ["invalid", "repaired"]
    assert usage.facts["repairs"] == 1


@pytest.mark.parametrize("words", ["empty", "cutjson", "wrong", "duplicate", "extra"])
def test_after_one_repair_the_rule_answers_and_it_is_counted(
    server: FakeOpenAI, config: Make, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.rule = lambda _: words
    reply, usage = ask(config(), "any")
    assert (reply.answer.word, reply.status, reply.model) == ("by rule", "failed", "rules")
    assert usage.calls[c.VERDICT].to_list() == ["invalid", "failed"]
    assert usage.facts["failed_answers"] == 1
    assert usage.answers == {"echo": 1}
    assert "no valid answer" in caplog.text
    check_ledger(usage, server)


def test_a_refusal_is_not_argued_with(server: FakeOpenAI, config: Make) -> None:
    reply, usage = ask(config(), "refusal")
    assert reply.status == "failed"
    assert usage.calls[c.VERDICT].to_list() == ["refused"]
    assert len(server.requests()) == 1


@pytest.mark.parametrize("status", ["401", "403", "404"])
def test_what_no_call_can_pass_stops_the_run_at_once(
    server: FakeOpenAI, config: Make, status: str
) -> None:
    reply, usage = ask(config(), status)
    assert isinstance(reply, LLMRefused)
    assert status in str(reply)
    assert usage.calls[c.VERDICT].to_list() == ["refused"]
    check_ledger(usage, server)
    assert len(server.requests()) == 1


def test_after_a_refusal_nothing_further_is_sent(server: FakeOpenAI, config: Make) -> None:
    server.rule, server.latency = lambda _: "401", 0.05
    replies, _ = ask_all(config(max_in_flight=3), [echo(f"{i}") for i in range(30)])
    assert {type(reply) for reply in replies} == {LLMRefused}
    assert len(server.requests()) == 3


@pytest.mark.parametrize("status", ["400", "413", "422"])
def test_one_rejected_request_does_not_stop_the_others(
    server: FakeOpenAI, config: Make, status: str
) -> None:
    replies, _ = ask_all(config(), [script(status), script("ok")])
    assert [reply.status for reply in replies] == ["failed", "ok"]
    assert len(server.requests()) == 2


@pytest.mark.parametrize("words", ["500", "429", "reset", "close"])
def test_no_answer_after_all_attempts(server: FakeOpenAI, config: Make, words: str) -> None:
    reply, usage = ask(config(max_attempts=3), words)
    assert isinstance(reply, LLMUnavailable)
    assert not reply.retryable, "the client is the one owner of retries"
    assert "3 attempt" in str(reply)
    assert [one["attempt"] for one in server.requests()] == [1, 2, 3]
    check_ledger(usage, server)
    verdict = "unavailable" if words.isdigit() else "lost"  # what came back may have been billed
    assert set(usage.calls[c.VERDICT]) == {verdict}
    assert (usage.calls[c.TOKENS_OUT].sum() > 0) is (verdict == "lost")
    fallback, _ = ask(config(max_attempts=2, on_unavailable="fallback"), words)
    assert fallback.status == "failed"


def test_a_hanging_endpoint_times_out(server: FakeOpenAI, config: Make) -> None:
    reply, usage = ask(config(timeout_s=0.3), "hang ok")
    assert reply.status == "ok"
    assert 0.3 <= usage.calls[c.LATENCY][0] < 3


def test_retry_after_is_a_floor(server: FakeOpenAI, config: Make) -> None:
    reply, usage = ask(config(), "429/0.7 503/0.4 ok")
    assert reply.status == "ok"
    gaps = [later["t"] - sooner["t"] for sooner, later in pairwise(server.requests())]
    assert gaps[0] >= 0.7
    assert gaps[1] >= 0.4
    assert usage.calls[c.WAITED][0] >= 1.1


def test_retry_after_beyond_patience_ends_the_call(server: FakeOpenAI, config: Make) -> None:
    reply, _ = ask(config(backoff_max_s=5), "429/3600 ok")
    assert isinstance(reply, LLMUnavailable)
    assert len(server.requests()) == 1


def test_the_schema_is_sent_and_lowered_where_it_is_rejected(
    server: FakeOpenAI, config: Make
) -> None:
    reply, usage = ask(config(), "noformat")
    assert reply.status == "ok"
    assert [one["format"] for one in server.requests()] == [True, True, False]
    assert usage.facts["schema_fallbacks"] == 2
    check_ledger(usage, server)


def test_bounds_are_dropped_before_the_schema_is(server: FakeOpenAI, config: Make) -> None:
    reply, usage = ask(config(), "nobounds")
    assert reply.status == "ok"
    assert [one["format"] for one in server.requests()] == [True, True]
    assert usage.facts["schema_fallbacks"] == 1


def test_schema_modes_are_obeyed(server: FakeOpenAI, config: Make) -> None:
    assert ask(config(schema_mode="never"), "ok")[0].status == "ok"
    assert ask(config(schema_mode="always"), "noformat")[0].status == "failed"
    assert [one["format"] for one in server.requests()] == [False, True]


def test_reasoning_models_get_other_parameters(server: FakeOpenAI, config: Make) -> None:
    ask(config(model="openai/o4-mini", seed=7, input_price=0, output_price=0), "ok")
    ask(config(temperature=0.5), "ok")
    first, second = (one["parameters"] for one in server.requests())
    assert "max_completion_tokens" in first
    assert not {"temperature", "max_tokens"} & set(first)
    assert {"temperature", "max_tokens"} <= set(second)


def test_too_many_failures_stop_the_run(server: FakeOpenAI, config: Make) -> None:
    server.rule = lambda _: "empty"
    requests = [echo(f"{i}") for i in range(5)]
    replies, _ = ask_all(config(max_failed_share=0.05, max_in_flight=1), requests)
    assert [getattr(reply, "status", "stopped") for reply in replies[:3]] == [
        "failed", "failed", "stopped"
    ]  # fmt: skip
    assert "max_failed_share" in str(replies[2])
    stopped, _ = ask(config(on_invalid="stop"), "empty")
    assert isinstance(stopped, LLMError)


def test_invalid_answers_are_not_paid_for_twice_unless_asked(
    server: FakeOpenAI, config: Make
) -> None:
    server.rule = lambda _: "empty"
    assert ask(config(), "x")[0].status == "failed"
    server.rule = lambda _: "ok"
    again, usage = ask(config(), "x")
    assert again.status == "failed"
    assert len(server.requests()) == 2
    assert usage.calls.is_empty()
    renewed, _ = ask(config(retry_failed=True), "x")
    assert renewed.status == "ok"
    assert len(server.requests()) == 3
    kept, _ = ask(config(), "x")
    assert kept.status == "ok"
    assert len(server.requests()) == 3


def test_the_same_question_is_asked_once(server: FakeOpenAI, config: Make) -> None:
    server.latency = 0.1
    replies, usage = ask_all(config(), [echo("same")] * 20 + [echo("other")])
    assert {reply.status for reply in replies} == {"ok"}
    assert len(server.requests()) == 2
    assert usage.facts["shared_answers"] == 19
    replies, usage = ask_all(config(), [echo("same")])
    assert usage.facts["cached_answers"] == 1
    assert usage.calls.is_empty()
    assert len(server.requests()) == 2


@pytest.mark.parametrize("change", [{"model": "openai/b"}, {"temperature": 0.3}, {"seed": 1}])
def test_what_shapes_an_answer_is_part_of_its_key(
    server: FakeOpenAI, config: Make, change: dict[str, Any]
) -> None:
    ask(config(), "ok")
    ask(config(max_in_flight=3, timeout_s=4.0), "ok")
    assert len(server.requests()) == 1
    ask(config(**change), "ok")
    assert len(server.requests()) == 2


def test_in_flight_and_pace_are_kept(server: FakeOpenAI, config: Make) -> None:
    server.latency = 0.05
    ask_all(config(max_in_flight=5), [echo(f"{i}") for i in range(40)])
    assert max(one["in_flight"] for one in server.requests()) == 5
    server.log.unlink()
    paced = config(max_in_flight=50, requests_per_minute=1800)
    ask_all(paced, [echo(f"paced {i}") for i in range(40)])
    times = [one["t"] for one in server.requests()]
    achieved = 60 * 39 / (max(times) - min(times))
    assert 0.9 * 1800 <= achieved <= 1.03 * 1800  # 1.3 seconds tell no more; make bench does


def test_retries_count_against_the_pace(server: FakeOpenAI, config: Make) -> None:
    ask(config(requests_per_minute=300), "500 500 500 ok")
    times = [one["t"] for one in server.requests()]
    assert len(times) == 4
    assert times[-1] - times[0] >= 0.5  # three waits of 0.2 s; a busy machine delays arrivals


def test_the_budget_ends_the_run_and_keeps_what_was_bought(
    server: FakeOpenAI, config: Make
) -> None:
    requests = [echo(f"{i}") for i in range(30)]
    limited = config(max_tokens=900, max_in_flight=8)
    replies, usage = ask_all(limited, requests)
    exceeded = [reply for reply in replies if isinstance(reply, BudgetExceeded)]
    bought = len(server.requests())
    assert exceeded
    assert 5 <= bought == usage.calls.height
    tokens = usage.calls[c.TOKENS_IN].sum() + usage.calls[c.TOKENS_OUT].sum()
    assert 100 < tokens <= 900
    assert usage.facts["run_tokens"] == tokens
    replies, usage = ask_all(config(), requests)
    assert {reply.status for reply in replies} == {"ok"}
    assert usage.facts["cached_answers"] == bought
    assert len(server.requests()) == 30


def test_a_run_has_one_budget_over_its_steps(server: FakeOpenAI, config: Make) -> None:
    limited = config(max_tokens=500, max_in_flight=1)
    for step in range(3):
        requests = [echo(f"{step} {i}") for i in range(10)]
        replies, usage = ask_all(limited, requests, run="one run")
    assert all(isinstance(reply, BudgetExceeded) for reply in replies)
    assert usage.facts["run_tokens"] <= 500


def test_dollars_are_counted_and_capped(server: FakeOpenAI, config: Make) -> None:
    priced = {"input_price": 1.0, "output_price": 2.0}
    _, usage = ask(config(**priced), "ok")
    row = usage.calls.row(0, named=True)
    assert row[c.COST] == pytest.approx((row[c.TOKENS_IN] + 2 * row[c.TOKENS_OUT]) / 1e6)
    reply, _ = ask(config(**priced, max_dollars=1e-5), "other")
    assert isinstance(reply, BudgetExceeded)
    with pytest.raises(ConfigError, match="input_price"):
        ask(config(max_dollars=1.0), "ok")


def test_an_answer_under_way_is_kept_when_its_asker_is_gone(
    server: FakeOpenAI, config: Make
) -> None:
    server.latency = 0.4

    async def main() -> None:
        async with open_provider(config(max_in_flight=2)) as provider:
            asked = [asyncio.create_task(provider.ask(echo(f"{i}"))) for i in range(6)]
            while len(server.requests()) < 2:
                await asyncio.sleep(0.01)
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(main())
    assert len(server.requests()) == 2
    _, usage = ask_all(config(), [echo(f"{i}") for i in range(6)])
    assert usage.facts["cached_answers"] == 2


KILLED = """
    import asyncio, sys
    from pathlib import Path
    from tests.recsys_core.llm.llm_world import echo
    from recsys_core.llm.config import LLMConfig
    from recsys_core.llm.request import templates as prompts
    from recsys_core.llm.factory import open_provider

    async def main():
        prompts.FOLDER = Path(sys.argv[2])
        config = LLMConfig.model_validate_json(sys.argv[1])
        async with open_provider(config) as provider:
            async def one(i):
                reply = await provider.ask(echo(f"{{i}}"))
                print(i, reply.status, flush=True)
            await asyncio.gather(*[one(i) for i in range(200)])

    asyncio.run(main())
"""


def test_kill_9_in_the_middle_of_200_calls_repeats_no_answered_key(
    server: FakeOpenAI, config: Make, tmp_path: Path
) -> None:
    server.latency = 0.05
    limited = config(max_in_flight=8)
    code = textwrap.dedent(KILLED).format()
    command = [sys.executable, "-c", code, limited.model_dump_json(), str(tmp_path / "prompts")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        told = [process.stdout.readline() for _ in range(100)]
        os.kill(process.pid, signal.SIGKILL)
        told += [line for line in process.stdout if line.endswith("\n")]
    time.sleep(0.1)
    before = Counter(one["key"] for one in server.requests())
    assert 100 <= len(told) < 200
    replies, usage = ask_all(limited, [echo(f"{i}") for i in range(200)])
    assert {reply.status for reply in replies} == {"ok"}
    after = Counter(one["key"] for one in server.requests())
    assert usage.facts["cached_answers"] >= len(told)
    assert len(after) == 200
    repeated = sum(after.values()) - 200
    assert repeated <= sum(before.values()) - usage.facts["cached_answers"] <= 8
    ask_all(limited, [echo(f"{i}") for i in range(200)])
    assert len(server.requests()) == sum(after.values())


KEY = "sk-very-secret-key-0123456789"


@pytest.mark.parametrize("words", ["ok", "echo", "500 echo", "500"])
def test_the_key_is_nowhere(
    server: FakeOpenAI, config: Make, words: str, caplog: pytest.LogCaptureFixture, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", KEY)
    limited = config(api_key_env="MY_KEY", max_attempts=2)
    reply, usage = ask(limited, words)
    seen: list[str] = []
    server.rule = lambda received: seen.append(received.authorization) or "ok"
    ask(limited, "sent", api_key=SecretStr(KEY + "-injected"))
    assert seen == [f"Bearer {KEY}-injected"]
    error, chain = reply, []
    while isinstance(error, BaseException):
        chain.append(str(error) + repr(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    files = b"".join(
        path.read_bytes() for path in tmp_path.glob("llm.sqlite*") if "requests" not in path.name
    )
    with pl.Config(fmt_str_lengths=1000, tbl_rows=-1):
        everything = [*chain, caplog.text, str(usage), limited.model_dump_json(), str(reply)]
    assert KEY not in "".join(everything)
    assert KEY.encode() not in files
    if "echo" in words:
        assert isinstance(reply, LLMRefused)
        assert "***" in str(reply)


def test_a_missing_key_is_said_before_the_first_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        ask(LLMConfig(model="openai/gpt-4.1-mini"), "ok", root=str(tmp_path))
    with pytest.raises(ConfigError, match="NO_SUCH_VARIABLE"):
        ask(LLMConfig(model="openai/m", api_base="http://127.0.0.1:9/v1",
                      api_key_env="NO_SUCH_VARIABLE"), "ok", root=str(tmp_path))  # fmt: skip


def test_rules_need_no_server_and_no_cache(tmp_path: Path) -> None:
    reply, usage = ask(LLMConfig(), "ok", root=str(tmp_path / "nowhere"))
    assert (reply.answer.word, reply.model) == ("by rule", "rules")
    assert usage.calls.is_empty()
    assert not (tmp_path / "nowhere").exists()


def test_direct_wants_an_openai_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="openai/NAME"):
        ask(LLMConfig(model="ollama/gemma3", transport="openai_http"), "ok", root=str(tmp_path))
