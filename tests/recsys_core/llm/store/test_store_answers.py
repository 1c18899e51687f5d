import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import sqlalchemy as sa

from recsys_core import columns as c
from recsys_core.errors import ConfigError, StorageError
from recsys_core.llm.accounting.budget import Ceiling, Spending
from recsys_core.llm.accounting.ledger import Call, ledger, totals
from recsys_core.llm.store.answers import AnswerCache, Record, Totals
from recsys_core.llm.store.database import cache_url
from recsys_core.llm.store.leases import Claim
from recsys_core.llm.transport.base import Completion

ROOT = Path(__file__).resolve().parents[4]


def call(key: str, **fields: object) -> Call:
    usual = {
        "key": key, "purpose": "p", "subject": "item:1", "model": "m", "prompt_version": "v",
        "tokens_in": 10, "tokens_out": 5, "cost": 0.25, "latency_s": 0.1, "waited_s": 0.0,
        "attempts": 1, "verdict": "ok", "started": 1_700_000_000.5,
    }  # fmt: skip
    return Call(**(usual | fields))


def record(key: str, text: str = "answer", **fields: object) -> Record:
    usual = {"run": "run", "session": "s", "completion": Completion(text=text, tokens_in=10)}
    return Record(**(usual | {"call": call(key)} | fields))


def claim(key: str, **fields: object) -> Claim:
    usual = {
        "key": key, "session": "s", "run": "run", "purpose": "p", "subject": "item:1", "model": "m",
        "prompt_version": "v", "tokens_in": 10, "tokens_out": 5, "cost": 0.25,
        "ceiling": Ceiling(), "durable": False, "fresh": False,
    }  # fmt: skip
    return Claim(**(usual | fields))


def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'deep' / 'llm.sqlite'}"


def with_cache(tmp_path: Path, work) -> object:
    async def main() -> object:
        cache = AnswerCache(url(tmp_path))
        try:
            return await work(cache)
        finally:
            await cache.close()

    return asyncio.run(main())


def test_an_answer_is_synced_to_the_disk_before_it_is_handed_on(tmp_path: Path) -> None:
    """A power cut loses no paid answer; look-ups and leases do not wait for the disk."""
    levels = []

    async def work(cache: AnswerCache) -> None:
        sa.event.listen(cache.engine, "commit", lambda connection: levels.append(
            connection.exec_driver_sql("PRAGMA synchronous").scalar()
        ))  # fmt: skip
        await cache.put(record("k"))
        await cache.get("k")
        cache.totals("run")

    with_cache(tmp_path, work)
    full, normal = 2, 1
    assert levels == [full, normal, normal]


def test_what_is_put_is_got_by_the_next_process(tmp_path: Path) -> None:
    async def fill(cache: AnswerCache) -> None:
        await asyncio.gather(*[cache.put(record(f"k{i}", f"text {i}")) for i in range(500)])

    async def read(cache: AnswerCache) -> list[Completion | None]:
        return await asyncio.gather(*[cache.get(f"k{i}") for i in range(501)])

    with_cache(tmp_path, fill)
    found = with_cache(tmp_path, read)
    assert [one.text for one in found[:500]] == [f"text {i}" for i in range(500)]
    assert found[500] is None


def test_the_first_answer_stays_unless_replaced(tmp_path: Path) -> None:
    async def work(cache: AnswerCache) -> list[str]:
        texts = []
        for text, replace in (("one", False), ("two", False), ("three", True)):
            await cache.put(record("k", text, replace=replace))
            texts.append((await cache.get("k")).text)
        return texts

    assert with_cache(tmp_path, work) == ["one", "one", "three"]


def test_spending_adds_up_per_run_and_survives(tmp_path: Path) -> None:
    async def work(cache: AnswerCache) -> Totals:
        await asyncio.gather(*[cache.put(record(f"{i}")) for i in range(4)])
        await cache.put(record("x", run="other", completion=None))
        return await cache.put(record("y"))

    root = Spending(dollars=1.5, tokens=90)
    mine = Totals(run=Spending(dollars=1.25, tokens=75), root=root)
    assert with_cache(tmp_path, work) == mine

    async def later(cache: AnswerCache) -> list[Totals]:
        return [cache.totals(run) for run in ("run", "other", "none")]

    other = Totals(run=Spending(dollars=0.25, tokens=15), root=root)
    assert with_cache(tmp_path, later) == [mine, other, Totals(run=Spending(), root=root)]


def test_the_ledger_is_kept_per_session_and_run(tmp_path: Path) -> None:
    async def work(cache: AnswerCache) -> tuple[int, int, list[str]]:
        await cache.put(record("a", session="one"))
        await cache.put(record("b", session="two", completion=None))
        frame = ledger(cache.calls(session="one"))
        return len(cache.calls(run="run")), frame.height, frame[c.KEY].to_list()

    assert with_cache(tmp_path, work) == (2, 1, ["a"])


def test_ledger_rows_have_their_types_and_totals() -> None:
    rows = [call("a").row(), call("b", purpose="q", attempts=3, started=1.0).row()]
    frame = ledger(rows)
    assert dict(frame.schema) == dict(c.LLM_CALLS)
    assert frame[c.KEY].to_list() == ["b", "a"]
    assert frame[c.STARTED].dt.timestamp("ms").to_list() == [1000, 1_700_000_000_500]
    summed = totals(frame)
    assert summed[c.PURPOSE].to_list() == ["p", "q"]
    assert summed["calls"].to_list() == [1, 1]
    assert summed[c.ATTEMPTS].to_list() == [1, 3]
    assert ledger([]).is_empty()


WRITER = """
    import asyncio, sys
    from tests.recsys_core.llm.store.test_store_answers import record
    from recsys_core.llm.store.answers import AnswerCache

    async def main():
        cache = AnswerCache(sys.argv[1])
        for i in range(int(sys.argv[3])):
            await cache.put(record(f"{{sys.argv[2]}}-{{i}}"))
            print(i, flush=True)
        await cache.close()

    asyncio.run(main())
"""


def writer(tmp_path: Path, name: str, count: int) -> subprocess.Popen[str]:
    code = textwrap.dedent(WRITER).format()
    return subprocess.Popen(
        [sys.executable, "-c", code, url(tmp_path), name, str(count)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip


def test_what_was_confirmed_survives_kill_9(tmp_path: Path) -> None:
    with writer(tmp_path, "w", 100_000) as process:
        confirmed = [int(process.stdout.readline()) for _ in range(40)]
        os.kill(process.pid, signal.SIGKILL)
        confirmed += [int(line) for line in process.stdout if line.endswith("\n")]

    async def read(cache: AnswerCache) -> int:
        found = await asyncio.gather(*[cache.get(f"w-{i}") for i in confirmed])
        return sum(one is not None for one in found)

    assert with_cache(tmp_path, read) == len(confirmed) >= 40


def test_processes_share_one_file(tmp_path: Path) -> None:
    processes = [writer(tmp_path, name, 25) for name in ("a", "b")]
    assert [process.communicate()[0].count("\n") for process in processes] == [25] * 2

    async def read(cache: AnswerCache) -> Spending:
        return cache.totals("run").run

    assert with_cache(tmp_path, read).tokens == 50 * 15


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in (f"sqlite:///{tmp_path}/file/llm.sqlite", f"sqlite:///{tmp_path}"):
        with pytest.raises(StorageError, match="does not work"):
            AnswerCache(bad)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "llm.sqlite").write_bytes(b"not a data base" * 1000)
    with pytest.raises(StorageError, match="not a database"):
        AnswerCache(url(tmp_path))


def test_a_failing_write_is_told_to_who_waits(tmp_path: Path) -> None:
    async def work(cache: AnswerCache) -> None:
        with sqlite3.connect(tmp_path / "deep" / "llm.sqlite") as other:
            other.execute("DROP TABLE calls")
        other.close()
        with pytest.raises(StorageError, match="calls"):
            await cache.put(record("k"))
        assert await cache.get("k") is None  # the answer and its row are one transaction

    with_cache(tmp_path, work)


def test_where_the_cache_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_CACHE", "postgresql+psycopg://u:secret@host/db")
    assert cache_url(None, str(tmp_path)) == f"sqlite:///{tmp_path}/llm.sqlite"
    assert cache_url(None, f"file://{tmp_path}") == f"sqlite:///{tmp_path}/llm.sqlite"
    assert cache_url("$LLM_CACHE", "s3://b/p").endswith("@host/db")
    assert cache_url("sqlite:///x.db", "s3://b/p") == "sqlite:///x.db"


@pytest.mark.parametrize(
    ("configured", "root", "told"),
    [
        (None, "s3://bucket/prefix", "remote"),
        ("$NOT_SET_ANYWHERE", "r", "not set"),
        ("postgresql://u:secret@host/db", "r", "password"),
        ("no url", "r", "no SQLAlchemy URL"),
    ],
)
def test_a_cache_without_a_place_is_an_error(configured: str | None, root: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        cache_url(configured, root)
    assert "secret" not in str(error.value)


def test_every_call_stands_in_one_ledger_even_if_its_process_died(tmp_path: Path) -> None:
    async def work(cache: AnswerCache) -> list[list[str]]:
        for session in ("dead", "reported"):
            for number in range(3):
                await cache.put(record(f"{session} {number}", session=session))
        first = cache.report("reported", set())
        await cache.put(record("dead 2", session="living"))  # asked again: its answer was lost
        found = {"dead 0", "reported 0", *(f"other {number}" for number in range(1200))}
        again = [cache.report("living", found) for _ in range(2)]
        later = cache.report("later", {"dead 0", "dead 1"})
        return [[row[c.KEY] for row in rows] for rows in (first, *again, later)]

    first, second, again, later = with_cache(tmp_path, work)
    assert first == ["reported 0", "reported 1", "reported 2"]
    assert second == again == ["dead 0", "dead 2", "dead 2"]
    assert later == ["dead 1"]
