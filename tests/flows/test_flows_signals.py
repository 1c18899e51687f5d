"""One signal ends a run: its spending at once, itself within five seconds, its server with it."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.llm_run import KEY, KEY_ENV, ROOT, Endpoint, write_data

pytestmark = pytest.mark.slow
IN_FLIGHT = 4


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    write_data(tmp_path / "data")
    with Endpoint(tmp_path, word=lambda _: "ok") as served:
        served.server.latency = 0.15
        yield served


class Run:
    """The command line in a process of its own, without any Prefect server to go to."""

    def __init__(self, endpoint: Endpoint, *, terminal: bool = False) -> None:
        self.endpoint, self.said = endpoint, endpoint.place / "said.log"
        environment = {
            **os.environ, KEY_ENV: KEY, "PREFECT_HOME": str(endpoint.place / "prefect"),
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        }  # fmt: skip
        environment.pop("PREFECT_API_URL", None)
        command = [sys.executable, "-m", "flows.personalize", *endpoint.arguments()]
        if terminal:
            command = ["setsid", "--ctty", *command]
        self.terminal = pty.openpty() if terminal else None
        source = self.terminal[1] if self.terminal else subprocess.DEVNULL
        with self.said.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=source, stdout=log, stderr=log,
                start_new_session=not terminal,
            )  # fmt: skip

    def until(self, condition: Callable[[], bool], seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.02)

    def servers(self) -> list[int]:
        """Processes of the temporary server of this run."""
        mark = f"server_process.py\0{self.process.pid}\0".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if mark in place.read_bytes():
                    found.append(int(place.parent.name))
            except OSError:
                continue
        return found

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.terminal:
            for end in self.terminal:
                os.close(end)


@pytest.fixture
def started(endpoint: Endpoint, request: pytest.FixtureRequest) -> Iterator[Run]:
    run = Run(endpoint, terminal=getattr(request, "param", False))
    try:
        run.until(lambda: len(endpoint.prompts) >= 12)
        yield run
    finally:
        run.close()


def ended(run: Run, stop: Callable[[], object], status: int) -> None:
    assert len(run.servers()) == 1
    stop()
    at, sent = time.monotonic(), len(run.endpoint.prompts)
    assert run.process.wait(20) == status, run.said.read_text()
    seconds = time.monotonic() - at
    assert seconds < 5, f"{seconds:.1f} s: {run.said.read_text()}"
    more = len(run.endpoint.prompts) - sent
    assert more <= IN_FLIGHT, f"{more} requests after the signal"
    assert run.said.read_text().count("Finished steps are kept") == 1
    gone_within(run, 4)


def gone_within(run: Run, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while run.servers():
        assert time.monotonic() < deadline, "the temporary server outlives its run"
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("whole_group", [True, False])
def test_one_signal_ends_the_run_and_its_spending(
    started: Run, number: int, whole_group: bool
) -> None:
    send = os.killpg if whole_group else os.kill
    ended(started, lambda: send(started.process.pid, number), 128 + number)


@pytest.mark.parametrize("started", [True], indirect=True)
def test_ctrl_c_in_a_terminal_ends_the_run_and_its_spending(started: Run) -> None:
    ended(started, lambda: os.write(started.terminal[0], b"\x03"), 130)


def test_the_server_of_a_killed_run_ends_too(started: Run) -> None:
    assert len(started.servers()) == 1
    os.kill(started.process.pid, signal.SIGKILL)
    started.process.wait()
    gone_within(started, 5)


def test_after_a_signal_the_same_command_goes_on_and_pays_for_nothing_twice(
    started: Run, endpoint: Endpoint
) -> None:
    ended(started, lambda: os.kill(started.process.pid, signal.SIGINT), 130)
    again = Run(endpoint)
    try:
        assert again.process.wait(240) == 0, again.said.read_text()
        gone_within(again, 4)
    finally:
        again.close()
    asked = [(one.purpose, one.text) for one in endpoint.prompts]
    assert len(asked) - len(set(asked)) <= IN_FLIGHT, "only what was in flight is asked again"
