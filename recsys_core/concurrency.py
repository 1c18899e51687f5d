"""Bounded concurrency, and objects that all threads of the process share."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar, cast

J = TypeVar("J")
R = TypeVar("R")

Progress = Callable[[int], None]
"""Called with the number of finished jobs after each of them."""


async def map_bounded(
    jobs: Iterable[J],
    work: Callable[[J], Awaitable[R]],
    *,
    at_once: int,
    on_done: Progress | None = None,
) -> list[R]:
    """Results of `work` on every job, in the order of `jobs`.

    Jobs are taken from the iterable only when a worker is free, so a lazy iterable keeps memory
    flat in the number of jobs. The first error stops the other workers and is raised as it is.

    Raises:
        Exception: whatever `work` or the iterable raised first.
    """
    numbered = enumerate(jobs)  # shared: a worker that is free takes the next job
    results: dict[int, R] = {}

    async def worker() -> None:
        for number, job in numbered:
            results[number] = await work(job)
            if on_done is not None:
                on_done(len(results))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(worker())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [results[number] for number in range(len(results))]


def in_threads(work: Callable[[J], R], jobs: Iterable[J]) -> list[R]:
    """Results of `work` on every job, in the order of `jobs`, on every core.

    For what releases Python's lock: scipy, LAPACK, torch.
    """
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(work, jobs))


stopping: Final = threading.Event()
"""Set when the process was told to end (SIGINT, SIGTERM): nothing further may be bought."""

_SHARED: Final[dict[Hashable, Any]] = {}
_SHARED_LOCK: Final = threading.Lock()


def shared(key: Hashable, make: Callable[[], R]) -> R:
    """The process's one object under `key`, made at the first call: a limit, a budget.

    Two clients of one endpoint in one process must not have its rate twice.
    """
    with _SHARED_LOCK:
        if key not in _SHARED:
            _SHARED[key] = make()
        return cast(R, _SHARED[key])
