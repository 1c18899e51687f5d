"""The cache of answers in a real PostgreSQL, shared by several processes."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import pytest

from recsys_core import columns as c
from recsys_core.llm.accounting.budget import Spending
from recsys_core.llm.store import leases
from recsys_core.llm.store.answers import AnswerCache
from recsys_core.processes import Process
from tests.fake_openai import FakeOpenAI
from tests.recsys_core.llm.store.test_store_answers import ROOT, claim, record
from tests.recsys_core.llm.test_llm_hostile import Make, rival, start_together

T = TypeVar("T")


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return places[-1] if places else None


pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        _binaries() is None or find_spec("psycopg") is None,
        reason="no PostgreSQL server, or no psycopg, is installed",
    ),
]


def _unprivileged() -> dict[str, str | int]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    return {"user": "postgres" if "postgres" in names else "nobody"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        folder, binaries, who = Path(name), _binaries(), _unprivileged()
        if who:
            shutil.chown(folder, user=who["user"])
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        data = folder / "data"
        start = [binaries / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-N"]
        subprocess.run(start, check=True, capture_output=True, cwd=folder, **who)
        serve = [binaries / "postgres", "-D", data, "-p", str(port), "-k", folder, "-F"]
        with subprocess.Popen(serve, cwd=folder, stderr=subprocess.DEVNULL, **who) as process:
            try:
                _wait_for(port, process)
                yield f"postgresql://tester@127.0.0.1:{port}/postgres"
            finally:
                process.send_signal(signal.SIGINT)  # does not wait for clients


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            assert process.poll() is None, "PostgreSQL ended"
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.1)


def with_caches(url: str, work: Callable[..., Awaitable[T]], count: int) -> T:
    async def main() -> T:
        caches = [AnswerCache(url) for _ in range(count)]
        try:
            return await work(*caches)
        finally:
            for cache in caches:
                await cache.close()

    return asyncio.run(main())


def test_answers_spending_and_ledger_in_one_place(url: str) -> None:
    async def work(one: AnswerCache, other: AnswerCache) -> None:
        for cache in (one, other):
            await asyncio.gather(*[cache.put(record(f"k{n}", f"text {n}")) for n in range(300)])
        spent = await one.put(record("more", replace=True, session="living"))
        assert spent.run == Spending(dollars=0.25 * 601, tokens=15 * 601)
        found = await asyncio.gather(*[other.get(f"k{n}") for n in range(301)])
        assert [answer and answer.text for answer in found] == [
            *(f"text {n}" for n in range(300)), None
        ]  # fmt: skip
        rows = [row[c.KEY] for row in other.report("living", {"k7", "k8"})]
        assert sorted(rows) == ["k7", "k7", "k8", "k8", "more"]
        assert one.report("late", {"k7", "more"}) == []

    with_caches(url, work, 2)


SHARED = """
    import asyncio, sys
    from tests.recsys_core.llm.store.test_store_answers import record
    from recsys_core.llm.store.answers import AnswerCache

    async def main(number):
        cache = AnswerCache(sys.argv[1])
        one = [cache.put(record(f"s{{n}}", f"{{number}}", run="shared")) for n in range(100)]
        await asyncio.gather(*one)
        await cache.close()

    asyncio.run(main(sys.argv[2]))
"""


def test_processes_write_at_once_and_the_first_answer_stays(url: str) -> None:
    code = textwrap.dedent(SHARED).format()
    running = [
        subprocess.Popen([sys.executable, "-c", code, url, str(n)], cwd=ROOT) for n in range(3)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]

    async def work(cache: AnswerCache) -> tuple[set[str], Spending, int]:
        found = await asyncio.gather(*[cache.get(f"s{n}") for n in range(100)])
        return (
            {one.text for one in found},
            cache.totals("shared").run,
            len(cache.calls(run="shared")),
        )

    texts, spent, rows = with_caches(url, work, 1)
    assert texts <= {"0", "1", "2"}
    assert (spent, rows) == (Spending(dollars=75.0, tokens=4500), 300)


@pytest.mark.parametrize("wrong_s", [3600.0, -3600.0])
def test_clocks_that_differ_end_nobodys_lease(
    url: str, monkeypatch: pytest.MonkeyPatch, wrong_s: float
) -> None:
    """Two machines: who is silent is told by the data base's clock, not by either's own."""
    key, right = f"clock {wrong_s}", time.time

    async def work(one: AnswerCache, other: AnswerCache) -> None:
        with monkeypatch.context() as there:
            elsewhere = Process(host="elsewhere"[:8], pid=1, started=1)
            there.setattr(leases, "this_process", lambda: elsewhere)
            one.open_session(key)
            assert await one.claim(claim(key, session=key)) == "granted"
        with monkeypatch.context() as here:
            here.setattr(time, "time", lambda: right() + wrong_s)
            other.open_session(f"rival {key}")
            assert await other.claim(claim(key, session=f"rival {key}")) == "held"

    with_caches(url, work, 2)


def test_two_runs_at_once_pay_once_and_every_attempt_stands_in_one_ledger(
    url: str, server: FakeOpenAI, config: Make, tmp_path: Path
) -> None:
    server.latency = 0.05
    shared = config(max_in_flight=8, cache_url=url)
    runs = [rival(shared, tmp_path / "prompts", f"rival {name}", 60) for name in ("one", "two")]
    start_together(*runs)
    told = [one.communicate(timeout=60)[0].split() for one in runs]
    assert [answered for answered, _ in told] == ["60", "60"]
    assert len(server.requests()) == 60
    assert sum(int(attempts) for _, attempts in told) == 60
