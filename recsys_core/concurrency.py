"""Many awaitable jobs with a bound on how many are under way."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

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
