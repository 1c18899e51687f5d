"""Prefect's temporary server: started while this process still imports, and ended with it.

Without PREFECT_API_URL Prefect starts a server when a flow begins, and waits for it. That wait is
the longest part of a run that has nothing to compute. A command line that asks for the server
before anything else has it ready by then: three seconds of fifteen (docs/experiments.md).
"""

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from prefect.server.api.server import SubprocessASGIServer

_PROCESS: Final = Path(__file__).with_name("server_process.py")

_starting: Thread | None = None
_LAST: Final = 4096
"""Bytes of what the server printed last that are looked at."""


def start_ahead() -> None:
    """Start the server in the background, where a flow is going to need it.

    Raises:
        StorageError: it could not keep its records in PREFECT_HOME.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE

    global _starting  # noqa: PLW0603 - one process has one temporary server
    if PREFECT_API_URL.value() or not PREFECT_SERVER_ALLOW_EPHEMERAL_MODE.value():
        return
    from tasks.runtime.server.room import check_home

    check_home()
    own_process()
    # Here and now: in the thread, this import would take turns with those that follow.
    from prefect.server.api.server import SubprocessASGIServer

    # No daemon: a command that ends early ends after the server, and so takes it along.
    _starting = Thread(target=_start, args=(SubprocessASGIServer(),))
    _starting.start()


def own_process() -> None:
    """Let Prefect start its temporary server as a process that never outlives this one."""
    from prefect.server.api.server import SubprocessASGIServer

    SubprocessASGIServer._run_uvicorn_command = _launch  # type: ignore[method-assign,assignment]


def kill() -> None:
    """End the temporary server at once; does nothing where there is none."""
    for one in _started():
        one.server_process.kill()


def is_temporary() -> bool:
    """Whether this process has started a server."""
    return bool(_started())


def url() -> str | None:
    """Where the temporary server's API is; None where there is none."""
    return next((one.api_url for one in _started()), None)


def ended() -> bool:
    """Whether the temporary server was started, and its process is gone."""
    return any(one.running and one.server_process.poll() not in {None, 3} for one in _started())


def last_words() -> str:
    """The last line that the temporary server printed, or how it ended."""
    codes = ", ".join(str(one.server_process.poll()) for one in _started())
    lines: list[str] = []
    if _Output.file is not None:  # by `pread`: the server writes at the offset that both share
        number = _Output.file.fileno()
        start = max(0, os.fstat(number).st_size - _LAST)
        lines = os.pread(number, _LAST, start).decode(errors="replace").strip().splitlines()
    return f"status {codes}" + (f", {lines[-1][:300]}" if lines else "")


class _Output:
    """Where the temporary server prints to."""

    file: IO[bytes] | None = None


def _started() -> list[Any]:
    server = sys.modules.get("prefect.server.api.server")
    found = list(server.SubprocessASGIServer._instances.values()) if server else []
    return [one for one in found if one.server_process is not None]


def _launch(server: "SubprocessASGIServer") -> "subprocess.Popen[bytes]":
    import prefect
    from prefect.settings import get_current_settings

    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    ephemeral = {
        "PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1",
    }  # fmt: skip
    # What it prints goes to a file: its troubles are told once, in words (watch.py).
    _Output.file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
    return subprocess.Popen(  # noqa: S603 - this interpreter and our own arguments
        [sys.executable, "-P", str(_PROCESS), str(os.getpid()),
         "--app-dir", str(prefect.__module_path__.parent),
         "--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1",
         "--port", str(server.port), "--log-level", "error", "--lifespan", "on"],
        env=os.environ | ephemeral | settings,
        start_new_session=True, stdin=subprocess.DEVNULL, stdout=_Output.file,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


def wait() -> None:
    """Let a server that was started ahead get ready."""
    if _starting is not None:
        _starting.join()


def _start(server: "SubprocessASGIServer") -> None:
    # What fails here is tried again, and told, when the flow begins.
    with suppress(Exception):
        server.start()
