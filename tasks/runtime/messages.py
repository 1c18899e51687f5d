"""The log of a run: a sentence per step, warnings once, one message per expected error.

A step that takes long says in between how far it is.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from prefect import get_run_logger
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import MissingContextError
from prefect.logging.handlers import PrefectConsoleHandler

from recsys_core.artifacts import ArtifactRef
from recsys_core.errors import RecsysError

SILENCE_S: Final = 60.0
"""A log that has said nothing for so long takes the next message of what is going on."""
_LEVELS: Final = {"recsys_core": logging.WARNING, "tasks": logging.INFO}
"""Loggers whose messages are handed to the run's log, from these levels up. What else the library
says is in the sentence of its step; where that takes long, some of it is told before."""
_PREFECT: Final = (
    "prefect.task_runs",
    "prefect.flow_runs",
    "prefect.task_engine",
    "prefect.engine",
)
_ENDED: Final = "Finished in state"
_TRIED_AGAIN: Final = "will start"
_LONGEST: Final = 120
_HASH: Final = re.compile("[0-9a-f]{32,}")


class _LastLine:
    """When this process told its last line; one that is read twice at a time does no harm."""

    def __init__(self) -> None:
        self.told = time.monotonic()

    def is_long_ago(self) -> bool:
        """Whether the log was silent for long."""
        return time.monotonic() - self.told >= SILENCE_S


_LAST_LINE: Final = _LastLine()


def tell_if_silent(message: Callable[[], str]) -> None:
    """Write a line if there was none for `SILENCE_S`."""
    if _LAST_LINE.is_long_ago():
        tell(message())


def tell(message: str) -> None:
    """Write a line to the log of the run in progress; outside of one, nowhere."""
    _LAST_LINE.told = time.monotonic()
    try:
        get_run_logger().info(message)
    except MissingContextError:
        logging.getLogger(__name__).debug(message)


def step_ended(name: str, ref: ArtifactRef, *, cached: bool, seconds: float) -> str:
    """A step in one sentence: what was done, or found, and the facts it wants to be known."""
    manifest = ref.manifest
    how = "found, nothing computed" if cached else f"{seconds:.1f} s"
    told = [f"{name.replace('_', ' ')}: {how}", f"{manifest.rows:,} rows", *facts(manifest.facts)]
    return "; ".join(told)


def facts(given: Mapping[str, Any]) -> list[str]:
    """Facts of a manifest in words; nested ones, long ones and zeros are left to the summary."""
    return [
        f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int | float)
        else f"{name.replace('_', ' ')} {value}"
        for name, value in given.items()
        if value and isinstance(value, str | int | float) and value is not True
        and len(str(value)) <= _LONGEST and not _HASH.fullmatch(str(value))
    ]  # fmt: skip


class _ToRunLog(logging.Handler):
    """Hands messages to the log of the run in progress, each once per run.

    Those below `level` are handed on where the log was silent for long.
    """

    def __init__(self, level: int) -> None:
        super().__init__(logging.INFO)
        self._least = level
        self._told: set[tuple[str, str]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < self._least and not _LAST_LINE.is_long_ago():
            return
        try:
            logger = get_run_logger()
        except MissingContextError:  # a thread of the library's own, or no run at all
            if record.levelno >= logging.WARNING and logging.lastResort is not None:
                logging.lastResort.handle(record)
            return
        message = record.getMessage()
        key = (_run_id(), message)
        if key not in self._told:
            self._told.add(key)
            _LAST_LINE.told = time.monotonic()
            logger.log(record.levelno, message)


class _Elsewhere(logging.Filter):
    """Keeps the console of Prefect's root logger from repeating what the log of the run says."""

    def filter(self, record: logging.LogRecord) -> bool:
        ours = any(record.name == name or record.name.startswith(f"{name}.") for name in _LEVELS)
        return not ours or (record.levelno >= logging.WARNING and not _run_id())


class _InWords(logging.Filter):
    """Drops what is told elsewhere: the ends of steps, and expected errors with their tracebacks.

    The message of such an error stands in the state of the flow run, which Prefect logs. That a
    step is tried again is told.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RecsysError):
            record.exc_info = record.exc_text = None
            return _TRIED_AGAIN in message
        of_a_step = record.name.startswith("prefect.task")
        return not (of_a_step and message.startswith(_ENDED))


def _run_id() -> str:
    for context in (FlowRunContext.get(), TaskRunContext.get()):
        if isinstance(context, FlowRunContext) and context.flow_run is not None:
            return str(context.flow_run.id)
        if isinstance(context, TaskRunContext):
            return str(context.task_run.flow_run_id)
    return ""


_HANDLERS: Final = {name: _ToRunLog(level) for name, level in _LEVELS.items()}
_IN_WORDS: Final = _InWords()
_ELSEWHERE: Final = _Elsewhere()


def install() -> None:
    """Let the run in progress say it in words; calling it again changes nothing."""
    for name, handler in _HANDLERS.items():
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.INFO)
    for console in logging.getLogger().handlers:
        if isinstance(console, PrefectConsoleHandler):
            console.addFilter(_ELSEWHERE)
    for name in _PREFECT:
        logging.getLogger(name).addFilter(_IN_WORDS)
