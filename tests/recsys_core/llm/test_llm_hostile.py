"""Hostile responses, kills and rivals: nothing is lost, doubled or spent beyond a ceiling."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from recsys_core import columns as c
from recsys_core.artifacts import content_hash
from recsys_core.errors import BudgetExceeded, ConfigError, LLMRefused
from recsys_core.llm.accounting.budget import Spending
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.store.answers import AnswerCache
from tests.fake_openai import FakeOpenAI
from tests.recsys_core.llm.llm_world import echo, script
from tests.recsys_core.llm.providers.test_providers_model import ROOT, ask, ask_all, check_ledger

Make = Callable[..., LLMConfig]
SECRET = 'k/ey-\\with"odd*chars-0123456789'


def stored(config: LLMConfig, work: Callable[[AnswerCache], Any]) -> Any:
    async def main() -> Any:
        cache = AnswerCache(str(config.cache_url))
        try:
            return work(cache)
        finally:
            await cache.close()

    return asyncio.run(main())


def in_the_cache(config: LLMConfig) -> tuple[int, Spending, Spending]:
    """Attempts in the ledgers of all runs, the sum of their rows, and the root's sum."""

    def work(cache: AnswerCache) -> tuple[int, Spending, Spending]:
        cache.open_session("auditor")
        rows = cache.calls()
        summed = Spending(
            dollars=sum(row[c.COST] for row in rows),
            tokens=sum(row[c.TOKENS_IN] + row[c.TOKENS_OUT] for row in rows),
        )
        return sum(row[c.ATTEMPTS] for row in rows), summed, cache.totals("").root

    return stored(config, work)


# Responses


@pytest.mark.parametrize(
    "counts", ["1e999", "100000000000000000000", "-5", "true", '"many"', "[[1]]", "null", "0"]
)
def test_counts_of_tokens_that_cannot_be_believed_are_estimated(
    server: FakeOpenAI, config: Make, counts: str
) -> None:
    server.rule = lambda _: f"usage/{counts}"
    reply, usage = ask(config(), "any")
    assert reply.status == "ok"
    assert usage.facts["answers_without_usage"] == 1
    assert 10 < usage.calls[c.TOKENS_IN][0] < 1000
    assert 5 < usage.calls[c.TOKENS_OUT][0] <= 100


@pytest.mark.parametrize(
    ("counts", "tokens_in", "tokens_out", "estimated"),
    [
        # Reasoning beside the answer's own count (xAI), and only in the total (Gemini).
        ('{"prompt_tokens": 90, "completion_tokens": 20, "total_tokens": 410, '
         '"completion_tokens_details": {"reasoning_tokens": 300}}', 90, 320, 0),
        ('{"prompt_tokens": 90, "completion_tokens": 20, "total_tokens": 410}', 90, 320, 0),
        # Reasoning among the answer's tokens (OpenAI) is counted once.
        ('{"prompt_tokens": 90, "completion_tokens": 320, "total_tokens": 410, '
         '"completion_tokens_details": {"reasoning_tokens": 300}}', 90, 320, 0),
        ('{"total_tokens": 5000}', 1, 4000, 1),  # whatever is told, and at least that
        ('{"prompt_tokens": 90, "completion_tokens": 0, "total_tokens": 90}', 90, 5, 1),
        ('{"prompt_tokens": 1, "completion_tokens": 20}', 20, 20, 1),
        ('{"prompt_tokens": 90, "total_tokens": 2000}', 90, 1900, 1),
    ],
)  # fmt: skip
def test_tokens_are_found_wherever_they_are_told(
    server: FakeOpenAI, config: Make, counts: str, tokens_in: int, tokens_out: int, estimated: int
) -> None:
    server.rule = lambda _: f"counts/{counts}"
    reply, usage = ask(config(), "any")
    assert reply.status == "ok"
    told = (usage.calls[c.TOKENS_IN][0], usage.calls[c.TOKENS_OUT][0])
    assert usage.facts.get("answers_without_usage", 0) == estimated
    if estimated:
        assert told[0] >= tokens_in
        assert told[1] >= tokens_out
    else:
        assert told == (tokens_in, tokens_out)


@pytest.mark.parametrize("status", [201, 203, 206, 299])
def test_an_answer_of_any_status_that_says_so_is_read_and_counted(
    server: FakeOpenAI, config: Make, status: int
) -> None:
    server.rule = lambda _: f"as/{status}"
    reply, usage = ask(config(), "any")
    assert reply.status == "ok"
    assert usage.calls[c.TOKENS_OUT].to_list() > [0]
    check_ledger(usage, server)


def test_no_ceiling_is_passed_where_no_usage_comes(server: FakeOpenAI, config: Make) -> None:
    server.rule = lambda _: "usage/1e999"
    replies, usage = ask_all(config(max_tokens=3000), [echo(f"{i}") for i in range(60)])
    assert any(isinstance(reply, BudgetExceeded) for reply in replies)
    assert 1000 < usage.facts["run_tokens"] <= 3000
    check_ledger(usage, server)


def test_what_timed_out_counts_as_the_most_it_can_have_cost(
    server: FakeOpenAI, config: Make
) -> None:
    server.rule = lambda _: "hang"
    limited = config(timeout_s=0.2, max_attempts=3, max_tokens=700, on_unavailable="fallback")
    replies, usage = ask_all(limited, [echo(f"{i}") for i in range(4)])
    assert any(isinstance(reply, BudgetExceeded) for reply in replies)
    assert usage.facts["run_tokens"] <= 700
    assert usage.calls[c.TOKENS_OUT].to_list() == [100] * len(server.requests())
    check_ledger(usage, server)


@pytest.mark.parametrize("word", ["deep", "huge/64", "bomb/64", "nochoices", "halfbody", "html"])
def test_an_item_whose_response_is_never_readable_is_set_aside(
    server: FakeOpenAI, config: Make, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracemalloc.start()
    replies, usage = ask_all(config(), [script(word), script("ok")])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [reply.status for reply in replies] == ["failed", "ok"]
    assert peak < 400 * 2**20, "the server in this process has the body, too"
    assert usage.facts["set_aside"] == usage.facts["failed_answers"] == 1
    assert any("llm.on_invalid" in str(vars(record)) for record in caplog.records)
    assert Counter(usage.calls[c.VERDICT]) == {"lost": 2, "failed": 1, "ok": 1}
    check_ledger(usage, server)
    again, later = ask_all(config(), [script(word), script("ok")])
    assert [reply.status for reply in again] == ["failed", "ok"]
    assert len(server.requests()) == 4, "what was set aside is not bought again"
    assert later.facts["cached_answers"] == 2


def test_a_redirect_is_not_followed_with_a_prompt(
    server: FakeOpenAI, config: Make, tmp_path: Path
) -> None:
    with FakeOpenAI(tmp_path / "elsewhere.jsonl") as other:
        server.elsewhere = other.url
        reply, _ = ask(config(), "redirect")
        assert isinstance(reply, LLMRefused)
        assert other.requests() == []


@pytest.mark.parametrize("word", ["echo", "escaped", "echo200"])
def test_a_key_is_nowhere_however_it_is_echoed(
    server: FakeOpenAI, config: Make, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.rule = lambda _: word
    reply, _ = ask(config(), "any", api_key=SecretStr(SECRET))
    told = str(getattr(reply, "seen", reply)) + caplog.text + str([vars(r) for r in caplog.records])
    data = Path(str(config().cache_url).removeprefix("sqlite:///")).parent
    files = b"".join(path.read_bytes() for path in data.glob("llm.sqlite*"))
    for length in range(8, len(SECRET) + 1):
        assert SECRET[:length] not in told
        assert SECRET[:length].encode() not in files


def test_a_key_that_no_header_can_carry_is_one_message(
    config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD_KEY", "abc\ndef")
    with pytest.raises(ConfigError, match="ODD_KEY") as error:
        ask(config(api_key_env="ODD_KEY"), "ok")
    assert "abc" not in str(error.value)


# Budgets, ledgers and rivals


def test_a_ceiling_of_the_root_holds_over_all_its_runs(server: FakeOpenAI, config: Make) -> None:
    limited = config(max_tokens=1500, budget_scope="root")
    for run in ("one", "two", "three"):
        requests = [echo(f"{run} {i}") for i in range(90)]
        replies, usage = ask_all(limited, requests, run=run)
        assert 900 < usage.facts["root_tokens"] <= 1500
    # Requests are under way together, so any of them may be the last that still fits.
    exceeded = [one for one in replies if isinstance(one, BudgetExceeded)]
    assert exceeded
    assert all("by all runs" in str(one) for one in exceeded)


RIVAL = """
    import asyncio, sys
    from pathlib import Path
    from tests.recsys_core.llm.llm_world import echo
    from recsys_core.llm.config import LLMConfig
    from recsys_core.llm.request import templates as prompts
    from recsys_core.llm.factory import open_provider

    async def main():
        prompts.FOLDER = Path(sys.argv[2])
        config = LLMConfig.model_validate_json(sys.argv[1])
        async with open_provider(config, run=sys.argv[3]) as provider:
            print("open", flush=True)
            sys.stdin.readline()
            asked = [provider.ask(echo(f"{{i}}")) for i in range(int(sys.argv[4]))]
            replies = await asyncio.gather(*asked, return_exceptions=True)
            print(sum(hasattr(one, "status") for one in replies), flush=True)
            usage = provider.usage()
            print(usage.calls["attempts"].sum(), flush=True)

    asyncio.run(main())
"""


def rival(config: LLMConfig, folder: Path, run: str, calls: int) -> "subprocess.Popen[str]":
    code = textwrap.dedent(RIVAL).format()
    return subprocess.Popen(
        [sys.executable, "-c", code, config.model_dump_json(), str(folder), run, str(calls)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip


def start_together(*processes: "subprocess.Popen[str]") -> None:
    for one in processes:
        assert one.stdout.readline() == "open\n"
    for one in processes:
        one.stdin.write("go\n")
        one.stdin.flush()


@pytest.mark.slow
def test_two_runs_at_once_pay_once_and_every_attempt_stands_in_one_ledger(
    server: FakeOpenAI, config: Make, tmp_path: Path
) -> None:
    server.latency = 0.05
    limited = config(max_in_flight=8)
    runs = [rival(limited, tmp_path / "prompts", name, 150) for name in ("one", "two")]
    start_together(*runs)
    told = [one.communicate(timeout=120)[0].split() for one in runs]
    assert [answered for answered, _ in told] == ["150", "150"]
    assert len(server.requests()) == 150
    assert sum(int(attempts) for _, attempts in told) == 150
    attempts, summed, root = in_the_cache(limited)
    assert (attempts, summed.tokens) == (150, root.tokens)


@pytest.mark.slow
def test_a_ceiling_holds_over_two_processes_of_a_run(
    server: FakeOpenAI, config: Make, tmp_path: Path
) -> None:
    server.latency = 0.05
    limited = config(max_in_flight=8, max_tokens=4000)
    runs = [rival(limited, tmp_path / "prompts", "same", 150) for _ in range(2)]
    start_together(*runs)
    for one in runs:
        one.communicate(timeout=120)
    _, summed, root = in_the_cache(limited)
    assert summed.tokens == root.tokens
    assert 2000 < root.tokens <= 4000


@pytest.mark.slow
@pytest.mark.parametrize("after", [5, 40])
def test_what_was_under_way_at_a_kill_stands_in_the_ledger(
    server: FakeOpenAI, config: Make, tmp_path: Path, after: int
) -> None:
    server.latency = 0.1
    limited = config(max_in_flight=8)
    killed = rival(limited, tmp_path / "prompts", "killed", 100)
    start_together(killed)
    while len(server.requests()) < after:
        assert killed.poll() is None
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    sent = len(server.requests())
    attempts, summed, root = in_the_cache(limited)
    # A request that was about to leave is counted, too; never fewer than were sent.
    assert sent <= attempts <= sent + 8
    assert summed.tokens == root.tokens
    _, usage = ask_all(limited, [echo(f"{i}") for i in range(100)], run="second")
    assert len(server.requests()) <= 100 + 8
    assert usage.calls[c.ATTEMPTS].sum() >= len(server.requests())


def test_a_rebuilt_artifact_shows_what_its_answers_cost(
    server: FakeOpenAI, config: Make, tmp_path: Path
) -> None:
    place = tmp_path / "artifact"
    place.mkdir()
    (place / "manifest.json").write_text("{}")
    requests = [echo(f"{i}") for i in range(5)]
    _, first = ask_all(config(), requests, place=str(place))
    _, second = ask_all(config(), requests, place=str(tmp_path / "other"))
    assert (first.calls.height, second.calls.height) == (5, 0), "each call in one ledger"
    (place / "manifest.json").unlink()
    with sqlite3.connect(tmp_path / "llm.sqlite") as cache:  # as if its process had ended
        cache.execute("UPDATE sessions SET reported = 0")
    _, again = ask_all(config(), requests, place=str(place))
    assert again.calls.height == 5
    assert len(server.requests()) == 5


@pytest.mark.parametrize("value", ["1", "'odd'", "x'ff00'", "cast(x'ff00' AS TEXT)", "''"])
@pytest.mark.parametrize("column", ["text", "refusal", "cut", "seal"])
def test_an_answer_that_was_altered_is_not_trusted_but_asked_again(
    server: FakeOpenAI, config: Make, tmp_path: Path, column: str, value: str
) -> None:
    if (column, value) == ("refusal", "''"):
        value = "'no'"
    if column == "cut":
        value = value if value == "1" else "2"
    ask(config(), "ok")
    with sqlite3.connect(tmp_path / "llm.sqlite") as cache:
        cache.execute(f"UPDATE answers SET {column} = {value}")
    reply, usage = ask(config(), "ok")
    assert reply.status == "ok"
    assert len(server.requests()) == 2
    assert "cached_answers" not in usage.facts
    _, usage = ask(config(), "ok")
    assert usage.facts["cached_answers"] == 1


def test_answers_that_changed_places_are_asked_again(
    server: FakeOpenAI, config: Make, tmp_path: Path
) -> None:
    server.answer = lambda received: {"word": received.text[-3:], "rows": [{"id": "text"}]}
    asked = [echo("one"), echo("two"), echo("six")]
    ask_all(config(), asked)
    with sqlite3.connect(tmp_path / "llm.sqlite") as cache:
        rows = cache.execute("SELECT key, text, seal FROM answers").fetchall()
        places = {word: next(row for row in rows if word in row[1]) for word in ("one", "two")}
        for word, other in (("one", "two"), ("two", "one")):
            change = "UPDATE answers SET text = ?, seal = ? WHERE key = ?"
            cache.execute(change, [*places[other][1:], places[word][0]])
    replies, usage = ask_all(config(), asked)
    assert [reply.answer.word for reply in replies] == ["one", "two", "six"]
    assert usage.facts["cached_answers"] == 1
    assert len(server.requests()) == 5


@pytest.mark.parametrize("with_checksums", [True, False])
def test_a_cache_of_an_earlier_version_is_brought_up_to_date(
    server: FakeOpenAI, config: Make, tmp_path: Path, with_checksums: bool
) -> None:
    ask(config(), "ok")
    with sqlite3.connect(tmp_path / "llm.sqlite") as cache:
        cache.execute("ALTER TABLE answers DROP COLUMN seal")
        if with_checksums:
            ((text, refusal),) = cache.execute("SELECT text, refusal FROM answers").fetchall()
            cache.execute("ALTER TABLE answers ADD COLUMN checksum VARCHAR(64)")
            checksum = content_hash([text, refusal, False])
            cache.execute("UPDATE answers SET checksum = ?", [checksum])
        for table in ("sessions", "leases"):
            cache.execute(f"DROP TABLE {table}")
    _, usage = ask(config(), "ok")
    assert usage.facts["cached_answers"] == 1
    assert len(server.requests()) == 1
