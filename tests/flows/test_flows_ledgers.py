"""Runs at once and runs that were killed: every paid attempt stands in one run's ledger."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from recsys_core import columns as c
from tests.flows.llm_run import KEY, KEY_ENV, ROOT, Endpoint, repeated, write_data
from tests.local_process import LocalProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
IN_FLIGHT = 4


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    write_data(tmp_path / "data")
    with Endpoint(tmp_path, word=lambda _: "ok") as served:
        served.server.latency = 0.1
        yield served


class Run(LocalProcess):
    """The command line in a process of its own, with a Prefect home of its own."""

    def __init__(self, endpoint: Endpoint, name: str) -> None:
        self.said = endpoint.place / f"{name}.log"
        environment = {
            **os.environ, KEY_ENV: KEY, "PREFECT_HOME": str(endpoint.place / f"prefect-{name}"),
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        }  # fmt: skip
        environment.pop("PREFECT_API_URL", None)
        with self.said.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flows.personalize", *endpoint.arguments(run_name=name)],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 240
        while not condition():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.02)


@pytest.fixture
def run(endpoint: Endpoint) -> Iterator[Callable[[str], Run]]:
    started: list[Run] = []

    def start(name: str) -> Run:
        started.append(Run(endpoint, name))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def in_ledgers(endpoint: Endpoint) -> pl.DataFrame:
    """The ledgers of all runs that have a report."""
    return pl.concat(
        pl.read_parquet(path).with_columns(run=pl.lit(path.parent.name))
        for path in endpoint.place.glob("runs/*/llm_calls.parquet")
        if not path.parent.is_symlink()
    )


def check_the_sum(endpoint: Endpoint) -> pl.DataFrame:
    """What all reports show is what the root has spent, row by row."""
    with closing(sqlite3.connect(endpoint.place / "artifacts" / "llm.sqlite")) as database:
        rows = database.execute("SELECT count(*), sum(attempts) FROM calls").fetchone()
        spent = database.execute("SELECT sum(tokens) FROM spending").fetchone()[0]
    calls = in_ledgers(endpoint)
    assert (calls.height, calls[c.ATTEMPTS].sum()) == rows
    assert calls[c.TOKENS_IN].sum() + calls[c.TOKENS_OUT].sum() == spent
    return calls


def test_two_runs_at_once_ask_once_and_share_no_row(
    endpoint: Endpoint, run: Callable[[str], Run]
) -> None:
    both = [run("one"), run("two")]
    for one in both:
        one.succeeds()
    assert repeated(endpoint.prompts) == 0
    calls = check_the_sum(endpoint)
    assert calls[c.ATTEMPTS].sum() == len(endpoint.prompts)
    assert calls[c.KEY].is_unique().all()


def test_what_two_killed_runs_paid_stands_in_the_next_ones_ledger(
    endpoint: Endpoint, run: Callable[[str], Run]
) -> None:
    """Steps that they finished are found, cost nothing more, and are shown all the same."""
    both = [run("one"), run("two")]
    explained = endpoint.place / "artifacts" / "user_profiles"
    both[0].until(lambda: list(explained.glob("*/manifest.json")))
    for one in both:
        one.kill()
    paid = len(endpoint.prompts)
    assert paid > 60
    last = run("three")
    last.succeeds()
    assert repeated(endpoint.prompts) <= 2 * IN_FLIGHT
    calls = check_the_sum(endpoint)
    assert set(calls["run"]) == {"three"}
    assert len(endpoint.prompts) <= calls[c.ATTEMPTS].sum() <= len(endpoint.prompts) + 2 * IN_FLIGHT


def test_a_run_goes_on_while_another_is_killed_and_waits_for_one_that_is_stopped(
    endpoint: Endpoint, run: Callable[[str], Run]
) -> None:
    first = run("one")
    first.until(lambda: len(endpoint.prompts) >= 20)
    os.kill(first.process.pid, signal.SIGSTOP)
    other = run("two")
    waits = f"waiting for process {first.process.pid} (stopped), which builds"
    other.until(lambda: waits in other.said.read_text())
    time.sleep(2)
    sent = len(endpoint.prompts)
    time.sleep(2)
    assert len(endpoint.prompts) == sent, "nothing is asked that the other asks for"
    other.process.send_signal(signal.SIGINT)
    assert other.process.wait(5) == 130, other.said.read_text()
    last = run("three")
    last.until(lambda: waits in last.said.read_text())
    first.kill()
    last.succeeds()
    assert repeated(endpoint.prompts) <= IN_FLIGHT
    calls = check_the_sum(endpoint)
    assert set(calls["run"]) == {"three"}
