"""A Prefect server that is restarted, gone, silent or without room: waited for, or one message.

The command line in a process of its own; within a minute it goes on, or ends in one message.
"""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.local_process import LocalProcess
from tests.local_server import ROOT, LocalServer, serving
from tests.small_data import run_arguments, write_small

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]
LONGEST_S = 60
STEPS = ("split", "embeddings", "explain")
"""Steps after which something happens to the server: the next one takes its slots from it."""


class Run(LocalProcess):
    """The pipeline's command line on a small data set."""

    def __init__(self, place: Path, **environment: str) -> None:
        self.place, self.said = place, place / "said.log"
        if not (place / "data").exists():
            write_small(place / "data")
        arguments = run_arguments(place, epochs=5)
        with self.said.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flows.personalize", *arguments], cwd=ROOT,
                env={"OMP_NUM_THREADS": "1", **os.environ, **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def after(self, step: str) -> None:
        """Wait for the artifact of a step."""
        end = time.monotonic() + 200
        while not list((self.place / "artifacts").glob(f"{step}/*/manifest.json")):
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < end, self.said.read_text()
            time.sleep(0.05)

    def ends_in_one_message(self, *words: str, lines: int) -> None:
        """From now on: within a minute, with status 1 and no more than so many further lines."""
        said, begun = self.said.read_text(), time.monotonic()
        assert self.process.wait(120) == 1, self.said.read_text()
        seconds, more = time.monotonic() - begun, self.said.read_text().removeprefix(said)
        assert seconds < LONGEST_S, f"{seconds:.0f} s: {more}"
        assert "Traceback" not in more, more
        assert len(more.strip().splitlines()) <= lines, more
        assert more.count("To fix it:") == 1, more
        assert all(word in more for word in words), more


@contextmanager
def running(place: Path, **environment: str) -> Iterator[Run]:
    place.mkdir(exist_ok=True)
    run = Run(place, **environment)
    try:
        yield run
    finally:
        run.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with serving(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.mark.parametrize("step", STEPS)
def test_a_server_restarted_as_a_step_begins_is_waited_for(
    server: LocalServer, tmp_path: Path, step: str
) -> None:
    with running(tmp_path, **server.environment) as run:
        run.after(step)
        server.kill("server")
        time.sleep(3)
        server.start()
        run.succeeds()


def kill(server: LocalServer) -> None:
    server.kill("server")


def stop(server: LocalServer) -> None:
    os.kill(server._started["server"].pid, signal.SIGSTOP)


@pytest.mark.parametrize(("harm", "why"), [(kill, "ConnectError"), (stop, "ReadTimeout")])
def test_a_server_that_is_gone_or_silent_ends_the_run_and_the_same_command_goes_on(
    server: LocalServer, tmp_path: Path, harm: Callable[[LocalServer], None], why: str
) -> None:
    with running(tmp_path, **server.environment) as run:
        run.after("split")
        harm(server)
        try:
            run.ends_in_one_message("The Prefect server does not answer", why, lines=12)
        finally:
            if harm is stop:
                os.kill(server._started["server"].pid, signal.SIGCONT)
            else:
                server.start()
    assert not list((tmp_path / "runs").glob("*"))
    with running(tmp_path, **server.environment) as run:
        run.succeeds()
        assert "split: found, nothing computed" in run.said.read_text()


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A port that takes every connection, and says `answer` to whatever comes, or nothing."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))

        def accept() -> None:
            with suppress(OSError):  # the end: nobody listens any more
                while True:
                    connection = stack.enter_context(listening.accept()[0])
                    with suppress(OSError):  # who asked is gone
                        if answer and connection.recv(65536):
                            connection.sendall(answer)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(20)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"])
def test_an_address_where_no_server_answers_ends_the_run_before_its_first_step(
    tmp_path: Path, answer: bytes
) -> None:
    with answering(answer) as port:
        url = f"http://127.0.0.1:{port}/api"
        with running(tmp_path, PREFECT_API_URL=url, PREFECT_HOME=str(tmp_path / "home")) as run:
            run.ends_in_one_message("The Prefect server does not answer", url, lines=6)
    assert not list((tmp_path / "artifacts").rglob("manifest.json"))


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A small file system of its own; skips where this user may not mount one."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server to go to: the run starts one of its own."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "true")


@pytest.mark.parametrize(
    ("options", "why"), [("size=4m,ro", "Read-only file system"), ("size=256k", "No space left")]
)
def test_a_home_that_is_read_only_or_full_is_told_before_anything(
    alone: None, tmp_path: Path, options: str, why: str
) -> None:
    with (
        mounted(tmp_path / "home", options) as home,
        running(tmp_path, PREFECT_HOME=str(home)) as run,
    ):
        run.ends_in_one_message("Prefect cannot keep its records", why, lines=6)
    assert not (tmp_path / "artifacts").exists()


def test_a_home_below_a_file_is_told_before_anything(alone: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with running(tmp_path, PREFECT_HOME=str(tmp_path / "file" / "home")) as run:
        run.ends_in_one_message("Prefect cannot keep its records", "Not a directory", lines=6)


@pytest.mark.parametrize("step", ["split", "fold_in_check"])  # the last steps tell little more
def test_a_home_that_fills_up_ends_the_run_in_one_message(
    alone: None, tmp_path: Path, step: str
) -> None:
    with (
        mounted(tmp_path / "home", "size=64m") as home,
        running(tmp_path, PREFECT_HOME=str(home)) as run,
    ):
        run.after(step)
        os.kill(run.process.pid, signal.SIGSTOP)  # it shall not end before there is no room
        try:
            without_slack(home / "prefect.db")
            fill(home)
        finally:
            os.kill(run.process.pid, signal.SIGCONT)
        run.ends_in_one_message("Prefect cannot keep its records", "No space left", lines=12)


def fill(folder: Path) -> None:
    with (folder / "big").open("ab", buffering=0) as big, suppress(OSError):
        while True:
            big.write(bytes(1 << 12))


def without_slack(database: Path) -> None:
    """Take SQLite the space that its log has: what is left of a run may fit into it."""
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        end = time.monotonic() + 30
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            assert time.monotonic() < end, "the server never rests"
            time.sleep(0.1)


def test_a_temporary_server_that_is_killed_ends_the_run_at_once(
    alone: None, tmp_path: Path
) -> None:
    with running(tmp_path, PREFECT_HOME=str(tmp_path / "home")) as run:
        run.after("split")
        mark = f"server_process.py\0{run.process.pid}\0".encode()
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            if mark in place.read_bytes():
                os.kill(int(place.parent.name), signal.SIGKILL)
        begun = time.monotonic()
        run.ends_in_one_message("temporary Prefect server of this run ended", lines=12)
        assert time.monotonic() - begun < 20
