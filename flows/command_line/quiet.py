"""Keeps the console readable: an expected error is one message, and not a traceback."""

import errno
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from recsys_core.errors import RecsysError

outage: Final = threading.Event()
"""Set while the Prefect server does not answer: who watches it says so, once."""

_LOGGERS: Final = (
    "prefect", "prefect.task_runs", "prefect.flow_runs", "prefect.task_engine",
    "prefect.flow_engine", "prefect.engine", "prefect.concurrency", "prefect.events.clients",
    "prefect.client", "prefect._internal.concurrency", "prefect._internal.retries", "asyncio",
)  # fmt: skip


_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Causes that a line says as well as a traceback."""


class _Readable(logging.Filter):
    """Drops tracebacks of the library's own errors, and what Prefect says about an outage."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if outage.is_set() or _is_outage(error):
            return False
        no_room = isinstance(error, OSError) and error.errno in _NO_ROOM
        if no_room or isinstance(error, RecsysError | KeyboardInterrupt):
            record.exc_info, record.exc_text = None, None
        return not record.name.startswith("prefect._internal")


def quiet_expected_errors() -> None:
    """Filter what Prefect logs; done once, however often it is called."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _Readable) for one in logger.filters):
            logger.addFilter(_Readable())


@contextmanager
def no_words_about_logging() -> Iterator[None]:
    """Let a log that cannot be sent be lost without a line for each batch of it."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before


def _is_outage(error: BaseException | None) -> bool:
    if error is None or isinstance(error, RecsysError):
        return False
    from tasks.runtime.server.patience import is_outage

    return is_outage(error)
