"""Watches what a run's bookkeeping rests on: the Prefect server, and Prefect's own folder.

Prefect waits for minutes, and prints hundreds of lines, where its server is gone, hangs, or has no
room left. A command line looks every few seconds by itself, and ends in one message within a
minute. What a run computes is safe by then: artifacts and answers do not pass through the server.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

import httpx

from flows.command_line import quiet, signals, temporary_server
from recsys_core.errors import RecsysError, StorageError

LOOK_S: Final = 3.0
ANSWER_S: Final = 8.0
PATIENCE_S: Final = 35.0
"""Seconds for which a server may be away: together with what a look takes, less than a minute."""
ROOM_S: Final = 8.0
"""Seconds for which its records may find no room."""
_BY_WORKER: Final = "PREFECT__FLOW_RUN_ID"
"""Variable of a process that a worker started, on its machine or in a container."""


def check_server() -> None:
    """Wait for the configured server, for a while.

    Raises:
        SourceUnavailable: it does not answer within `PATIENCE_S`.
    """
    from tasks.runtime.server.patience import server_down

    end = time.monotonic() + PATIENCE_S
    while (problem := _health(_url())) is not None:
        # Where nobody listens, a server that is being restarted is waited for, and no other.
        if time.monotonic() > end - (PATIENCE_S - LOOK_S if "refused" in problem else ANSWER_S):
            raise server_down(problem)
        time.sleep(0.5)


@contextmanager
def watching() -> Iterator[None]:
    """End the process in one message where the server, or the room for its records, is gone."""
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(stop,), daemon=True, name="prefect-watch")
    thread.start()
    try:
        yield
    finally:
        stop.set()


def watching_under_worker() -> AbstractContextManager[None]:
    """`watching`, where a worker started this process: a command line watches by itself."""
    return watching() if os.environ.get(_BY_WORKER) else nullcontext()


def _watch(stop: threading.Event) -> None:
    healthy = False
    since: float | None = None
    while not stop.wait(LOOK_S):
        looked = time.monotonic()
        error = _problem(starting=not healthy)
        healthy = healthy or (error is None and _health(_url()) is None)
        quiet.outage.set() if error else quiet.outage.clear()
        if error is None:
            since = None
            continue
        since = since or looked
        patience = ROOM_S if isinstance(error, StorageError) else PATIENCE_S
        if (temporary_server.ended() or time.monotonic() - since > patience) and not stop.is_set():
            signals.end_now(1, f"\n{type(error).__name__}: {error}")


def _problem(*, starting: bool) -> RecsysError | None:
    from tasks.runtime.server.patience import server_down
    from tasks.runtime.server.room import no_room

    if (error := no_room()) is not None:
        return error
    if temporary_server.ended():
        return StorageError(
            f"The temporary Prefect server of this run ended: {temporary_server.last_words()}.",
            expected="it to live as long as the run.",
            fix="look for what ended it (memory, another process), and run the same command again:"
            " finished steps are kept.",
        )
    # A temporary server may take its time to start: it has a time-out of its own.
    problem = None if starting and temporary_server.is_temporary() else _health(_url())
    return server_down(problem) if problem else None


def _url() -> str | None:
    from prefect.settings import get_current_settings

    return get_current_settings().api.url or temporary_server.url()


def _health(url: str | None) -> str | None:
    """Why the server does not answer; None where it does, or is not known yet."""
    from prefect.settings import get_current_settings

    if url is None:
        return None
    given = get_current_settings().api.auth_string
    name, _, password = (given.get_secret_value() if given else "").partition(":")
    try:
        answer = httpx.get(
            f"{url}/health", timeout=ANSWER_S, auth=(name, password) if name else None
        )
    except (httpx.HTTPError, OSError) as error:
        return f"{url}: {type(error).__name__} {error}".strip()
    return None if answer.is_success else f"{url}: HTTP {answer.status_code}"
