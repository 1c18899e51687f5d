"""Progress of the long steps: a bar on a terminal, an artifact where a Prefect server is set.

Where there is no terminal, the log of the run says how far a step is and how long it will take,
about once a minute.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Final, cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext, TaskRunContext
from prefect.settings import get_current_settings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tasks.runtime.messages import tell_if_silent

Report = Callable[..., None]
"""Called with what is done so far, and perhaps of how much: passes over the data may differ."""

_LOG: Final = logging.getLogger(__name__)
_SECONDS_BETWEEN_UPDATES: Final = 2.0


@contextmanager
def progress(label: str, total: int, *, shown: bool = True) -> Iterator[Report]:
    """Show how far a step is; yields a function that takes the number of finished jobs.

    Not `shown` is for one of several steps at a time: a terminal has room for one bar.
    """
    if not shown:
        yield _to_nobody
        return
    with _bar(label, total) as bar, nullcontext(_artifact(label)) as artifact:

        def report(done: int, of: int = total) -> None:
            bar(done, of)
            artifact(done, of)

        yield report
        report(total)  # what was found in a cache was not reported, and the bar must end


def _to_nobody(*_: int) -> None:
    """Report to nobody, whatever is told."""


def _nowhere(*_: int) -> None:
    """Report to nobody."""


class _Lines:
    """Lines in the log of the run; a number that falls begins another pass."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.of = label, total
        self._first, self._done, self._since = 0, 0, time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        if done < self._done:
            self._first, self._since = done, time.monotonic()
        self._done, self.of = done, of
        tell_if_silent(self._line)

    def _line(self) -> str:
        line = f"{self.label}: {self._done:,} of {self.of:,}"
        made = self._done - self._first
        if made <= 0 or self._done >= self.of:
            return line
        left = (time.monotonic() - self._since) / made * (self.of - self._done)
        return f"{line}, about {in_words(left)} left"


def in_words(seconds: float) -> str:
    """`40 s`, `12 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def _bar(label: str, total: int) -> Iterator[Callable[[int, int], None]]:
    if not sys.stderr.isatty():
        yield _Lines(label, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as shown:
        task = shown.add_task(label, total=total)
        yield lambda done, of: shown.update(task, completed=done, total=of)


def _artifact(label: str) -> Callable[[int, int], None]:
    """A reporter into a Prefect progress artifact; a no-op without a server or outside of a run."""
    in_run = TaskRunContext.get() or FlowRunContext.get()
    if not (in_run and get_current_settings().api.url):
        return _nowhere
    # `_sync` is Prefect's own switch: inside a step's event loop these would return coroutines.
    sync: dict[str, Any] = {"_sync": True}
    key = label.lower().replace("_", "-").replace(" ", "-")
    try:
        artifact = cast(UUID, create_progress_artifact(0.0, key=key, description=label, **sync))
    except httpx.HTTPError as error:
        _LOG.warning("no progress is shown in the UI", extra={"step": label, "why": str(error)})
        return _nowhere
    last = time.monotonic()

    def report(done: int, of: int) -> None:
        nonlocal last
        if done < of and time.monotonic() - last < _SECONDS_BETWEEN_UPDATES:
            return
        last = time.monotonic()
        # A server that is away for a moment misses a mark on a bar, and the step goes on.
        with suppress(httpx.HTTPError):
            update_progress_artifact(artifact, 100.0 * done / max(of, 1), **sync)

    return report
