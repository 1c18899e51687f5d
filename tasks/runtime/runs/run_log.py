"""The log of a flow run: a record of every step, and what the summary says of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from prefect.context import FlowRunContext, TaskRunContext

from recsys_core.artifacts import ArtifactRef
from recsys_core.report.summary import StepSummary
from tasks.runtime import messages


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """How one step went in this run.

    Attributes:
        seconds: wall time in this run; next to nothing for a cached step.
        peak_memory_mib: largest resident memory of the process while the artifact was built.
        cached: the artifact was there and intact; nothing was computed.
    """

    step: str
    seconds: float
    peak_memory_mib: float
    rows: int
    cached: bool
    ref: ArtifactRef


@dataclass(kw_only=True)
class RunLog:
    """The steps of one flow run, in the order in which they ended, and when it started (UTC)."""

    steps: list[StepRecord] = field(default_factory=list)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def summaries(self) -> list[StepSummary]:
        """Rows, seconds, cached or not; an artifact that was asked for twice is told once."""
        told: dict[tuple[str, str], StepSummary] = {}
        for one in self.steps:
            told.setdefault(
                (one.step, one.ref.uri),
                StepSummary(
                    step=one.step,
                    seconds=one.seconds,
                    peak_memory_mib=one.peak_memory_mib,
                    rows=one.rows,
                    cached=one.cached,
                    artifact=one.ref.uri,
                ),
            )
        return list(told.values())


_LOG: ContextVar[RunLog | None] = ContextVar("run_log", default=None)
_INSIDE: ContextVar[bool] = ContextVar("inside_one_record", default=False)
"""Whether steps are told together, when all of them have ended."""


@contextmanager
def run_log() -> Iterator[RunLog]:
    """Collect a record of every step called inside the context."""
    messages.install()
    log = RunLog()
    token = _LOG.set(log)
    try:
        yield log
    finally:
        _LOG.reset(token)


@contextmanager
def one_record(name: str) -> Iterator[None]:
    """Merge the records of the steps called inside into one, with the rows of the last of them.

    It is cached if all of them were; its seconds are the wall time of the block.
    """
    log, started = _LOG.get(), time.perf_counter()
    before = len(log.steps) if log is not None else 0
    token = _INSIDE.set(True)
    try:
        yield
    finally:
        _INSIDE.reset(token)
    inside = log.steps[before:] if log is not None else []
    if log is None or not inside:
        return
    log.steps[before:] = [
        replace(
            inside[-1],
            step=name,
            seconds=time.perf_counter() - started,
            peak_memory_mib=max(record.peak_memory_mib for record in inside),
            cached=all(record.cached for record in inside),
        )
    ]
    if not _INSIDE.get():
        _tell(log.steps[-1])


def record(name: str, ref: ArtifactRef, seconds: float) -> None:
    """Put a step that ended into the log in progress, if there is one."""
    log = _LOG.get()
    if log is None:
        return
    manifest = ref.manifest
    log.steps.append(
        StepRecord(
            step=name,
            seconds=seconds,
            peak_memory_mib=manifest.peak_memory_mib,
            rows=manifest.rows,
            cached=manifest.built_by != current_run_id(),
            ref=ref,
        )
    )
    if not _INSIDE.get():
        _tell(log.steps[-1])


def _tell(one: StepRecord) -> None:
    messages.tell(messages.step_ended(one.step, one.ref, cached=one.cached, seconds=one.seconds))


def current_run_id() -> str:
    """Id of the flow run in progress, or `local` outside of any."""
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        return str(context.flow_run.id)
    task_context = TaskRunContext.get()
    return str(task_context.task_run.flow_run_id) if task_context else "local"
