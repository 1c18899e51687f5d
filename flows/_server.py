"""Prefect's temporary server, started while this process still imports.

Without PREFECT_API_URL Prefect starts a server when a flow begins, and waits for it. That wait is
the longest part of a run that has nothing to compute. A command line that asks for the server
before anything else has it ready by then: three seconds of fifteen (docs/experiments.md).
"""

from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.server.api.server import SubprocessASGIServer

_starting: Thread | None = None


def start_ahead() -> None:
    """Start the server in the background, where a flow is going to need it."""
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE

    global _starting  # noqa: PLW0603 - one process has one temporary server
    if PREFECT_API_URL.value() or not PREFECT_SERVER_ALLOW_EPHEMERAL_MODE.value():
        return
    # Here and now: in the thread, this import would take turns with those that follow.
    from prefect.server.api.server import SubprocessASGIServer

    # No daemon: a command that ends early ends after the server, and so takes it along.
    _starting = Thread(target=_start, args=(SubprocessASGIServer(),))
    _starting.start()


def wait() -> None:
    """Let a server that was started ahead get ready."""
    if _starting is not None:
        _starting.join()


def _start(server: "SubprocessASGIServer") -> None:
    # What fails here is tried again, and told, when the flow begins.
    with suppress(Exception):
        server.start()
