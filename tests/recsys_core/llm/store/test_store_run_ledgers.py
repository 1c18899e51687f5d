"""A call stands in the ledger of the run that asked, or of one that goes on for a killed one."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from recsys_core import columns as c
from recsys_core.llm.store import run_ledgers
from recsys_core.llm.store.answers import AnswerCache
from recsys_core.llm.store.database import RUNS, open_engine
from recsys_core.llm.store.run_ledgers import calls_of, published
from recsys_core.processes import Process
from tests.recsys_core.llm.store.test_store_answers import record


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'llm.sqlite'}"


def asked(url: str, run: str, *keys: str, process: Process | None = None) -> None:
    """A run asked for these answers, in this process or in another one."""

    async def work() -> None:
        cache = AnswerCache(url)
        cache.open_session(f"s-{run}", run)
        for key in keys:
            await cache.put(record(key, run=run, session=f"s-{run}"))
        await cache.close()

    asyncio.run(work())
    if process is not None:
        engine = open_engine(url)
        with engine.begin() as connection:
            change = sa.update(RUNS).where(RUNS.c.run == run)
            connection.execute(change.values(**process.model_dump()))
        engine.dispose()


def gone() -> Process:
    """A process of this machine that has ended."""
    code = "from recsys_core.processes import this_process as one; print(one().model_dump_json())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    return Process.model_validate_json(told)


def keys_of(url: str, run: str, *used: str) -> list[str]:
    return calls_of(url, run, used)[c.KEY].to_list()


def test_the_calls_of_a_killed_run_are_shown_once_by_who_uses_them(url: str) -> None:
    asked(url, "killed", "a", "b", "c", process=gone())
    asked(url, "next", "d")
    assert keys_of(url, "next", "a", "b", "d") == ["a", "b", "d"]
    assert keys_of(url, "next", "a", "b", "d") == ["a", "b", "d"], "asking again changes nothing"
    asked(url, "third", "e")
    assert keys_of(url, "third", "a", "c", "e") == ["c", "e"]


def test_the_calls_of_a_run_that_lives_or_has_a_report_are_its_own(url: str) -> None:
    asked(url, "lives", "a")
    asked(url, "done", "b", process=gone())
    assert keys_of(url, "done") == ["b"]
    published(url, "done")
    asked(url, "next", "c")
    assert keys_of(url, "next", "a", "b", "c") == ["c"]
    assert keys_of(url, "lives") == ["a"]


def test_who_takes_over_and_is_killed_before_the_report_keeps_nothing(url: str) -> None:
    asked(url, "killed", "a", process=gone())
    asked(url, "second", "b", process=gone())
    assert keys_of(url, "second", "a") == ["a", "b"]
    asked(url, "third", "c")
    assert keys_of(url, "third", "a", "b", "c") == ["a", "b", "c"]


def test_a_run_of_another_machine_is_given_a_day(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(url, "far", "a", process=Process(host="far", pid=1, started=1))
    asked(url, "next", "b")
    assert keys_of(url, "next", "a") == ["b"]
    monkeypatch.setattr(run_ledgers, "_SILENT_S", -1.0)
    assert keys_of(url, "next", "a") == ["a", "b"]


def test_runs_of_an_earlier_version_keep_their_calls(url: str, tmp_path: Path) -> None:
    asked(url, "old", "a", process=gone())
    database = sqlite3.connect(tmp_path / "llm.sqlite")
    database.execute("DROP TABLE runs")
    database.execute("ALTER TABLE calls DROP COLUMN holder")
    database.close()
    asked(url, "next", "b")
    assert keys_of(url, "next", "a", "b") == ["b"]
