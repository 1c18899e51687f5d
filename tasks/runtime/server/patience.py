"""A Prefect server that is away for a moment, while it is restarted, ends no run.

Prefect's client waits out what a server answers late; it gives up at once where nobody listens.
So a step that could not take its slot, or tell its state, is called again: what it has done by
then is found by its content key.
"""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import httpx
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.settings import get_current_settings
from prefect.tasks import Task

from recsys_core.errors import RecsysError, SourceUnavailable
from tasks.runtime.server.room import no_room

T = TypeVar("T")

PATIENCE_S: Final = 40.0
"""Seconds from the first failure on for which a server may be away."""
_WAIT_S: Final = 2.0
_AWAY: Final = frozenset({429, 500, 502, 503, 504})

_LOG: Final = logging.getLogger(__name__)


def patiently(call: Callable[[], T]) -> T:
    """What `call` returns, called again while the Prefect server is away.

    Raises:
        RecsysError: it is away for longer than `PATIENCE_S`, for want of room or not.
        Exception: whatever else `call` raises.
    """
    first, told = 0.0, False
    while True:
        try:
            return call()
        except Exception as error:
            if not is_outage(error):
                raise
            # Prefect's client has asked a server that hangs six times by now, a minute each.
            hangs = isinstance(_below(error), httpx.TimeoutException)
            first = first or time.monotonic()
            if hangs or time.monotonic() - first > PATIENCE_S:
                raise server_down(error) from None
            if not told:
                told = True
                _LOG.warning(
                    f"the Prefect server is away ({_why(error)}): waiting {PATIENCE_S:.0f} s for it"
                )
            time.sleep(_WAIT_S)


def is_outage(error: BaseException | None) -> bool:
    """Whether an error says that the Prefect server, or the run's own, does not answer."""
    error = _below(error)
    if not isinstance(error, httpx.HTTPError) or not _asked(error):
        return False
    away = isinstance(error, httpx.HTTPStatusError) and error.response.status_code in _AWAY
    return away or isinstance(error, httpx.TransportError)


def server_down(error: BaseException | str) -> RecsysError:
    """The one message about a server that does not answer: its disk may be full, and ours, too."""
    return no_room() or SourceUnavailable(
        f"The Prefect server does not answer: {error if isinstance(error, str) else _why(error)}",
        expected="a server at PREFECT_API_URL, or no PREFECT_API_URL at all.",
        fix="start it (`prefect server start`), or unset PREFECT_API_URL. Finished steps are kept;"
        " the same command goes on from there.",
    )


def _below(error: BaseException | None) -> BaseException | None:
    return error.__cause__ if isinstance(error, ConcurrencySlotAcquisitionError) else error


def _asked(error: httpx.HTTPError) -> bool:
    try:
        asked = str(error.request.url)
    except RuntimeError:  # an error without its request
        return False
    server = sys.modules.get("prefect.server.api.server")
    own = server.SubprocessASGIServer._instances.values() if server else ()
    api = get_current_settings().api.url
    return asked.startswith(tuple([api] if api else []) + tuple(one.api_url for one in own))


def _why(error: BaseException) -> str:
    below = _below(error) or error
    return f"{type(below).__name__} {below}".strip()


def worth_a_retry(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """Whether another attempt can help: remote trouble yes, bad input and bugs no."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, RecsysError):
        return error.retryable
    return isinstance(error, httpx.TransportError | ConnectionError)
