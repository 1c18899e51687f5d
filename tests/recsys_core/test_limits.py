"""The window limit in virtual time, and the waits before another attempt."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.http.backoff import backoff, retry_after
from recsys_core.http.rate_limit import WindowLimit, shared_limit


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0]._when)
        super()._run_once()


def virtual(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


async def requests(
    limit: WindowLimit, jobs: list[tuple[float, float, float]]
) -> tuple[list[float], float]:
    """Make requests that (start after, reach the server after, end after) so many seconds."""
    loop = asyncio.get_running_loop()
    arrivals: list[float] = []

    async def one(start: float, way: float, back: float) -> None:
        await asyncio.sleep(start)
        async with limit.slot():
            await asyncio.sleep(way)
            arrivals.append(loop.time())
            await asyncio.sleep(back)

    await asyncio.gather(*(one(*job) for job in jobs))
    return sorted(arrivals), loop.time()


def most_in_a_window(arrivals: list[float], window: float) -> int:
    # Strictly inside: two requests exactly one window apart are in no window together.
    return max(sum(a <= b < a + window - 1e-9 for b in arrivals) for a in arrivals)


TIMES = st.tuples(st.floats(0, 30), st.floats(0, 3), st.floats(0, 3))


@given(st.lists(TIMES, min_size=1, max_size=60), st.integers(1, 8), st.floats(0.5, 10))
@settings(deadline=None, max_examples=60)
def test_no_window_of_the_server_ever_holds_more_than_the_limit(jobs, limit, window) -> None:
    arrivals, _ = virtual(requests(WindowLimit(limit, window), jobs))
    assert len(arrivals) == len(jobs)
    assert most_in_a_window(arrivals, window) <= limit


def test_tmdbs_forty_in_ten_seconds_are_used_to_the_full() -> None:
    arrivals, took = virtual(requests(WindowLimit(40, 10.0), [(0.0, 0.1, 0.1)] * 400))
    assert most_in_a_window(arrivals, 10.0) == 40
    assert took == pytest.approx(9 * (10 + 0.2) + 0.2, abs=0.1)


def test_a_failed_request_counts() -> None:
    async def main() -> float:
        limit = WindowLimit(1, 5.0)
        with pytest.raises(OSError, match="reset"):
            async with limit.slot():
                raise OSError("reset")
        async with limit.slot():
            return asyncio.get_running_loop().time()

    assert virtual(main()) == pytest.approx(5.0)


def test_a_waiter_that_is_cancelled_takes_no_place() -> None:
    async def main() -> float:
        limit = WindowLimit(1, 5.0)
        async with limit.slot():
            waiter = asyncio.create_task(limit.slot().__aenter__())
            await asyncio.sleep(0.05)
            waiter.cancel()
        async with limit.slot():
            return asyncio.get_running_loop().time()

    assert virtual(main()) == pytest.approx(5.05)


def test_the_limit_goes_on_in_the_next_event_loop() -> None:
    async def one() -> float:
        async with limit.slot():
            return asyncio.get_running_loop().time()

    limit = shared_limit("test", 1, 0.2)
    first, second = asyncio.run(one()), asyncio.run(one())
    assert second - first >= 0.2
    assert shared_limit("test", 1, 0.2) is limit
    assert shared_limit("other", 1, 0.2) is not limit


@given(st.integers(1, 2000), st.floats(0.01, 10), st.floats(10, 100))
def test_backoff_doubles_up_to_the_cap(attempt, first, longest) -> None:
    full = min(first * 2 ** min(attempt - 1, 60), longest)
    assert full / 2 <= backoff(attempt, first_s=first, longest_s=longest) <= full


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0), (" 0.5 ", 0.5), ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0), ("", None), ("-3", None), ("inf", None),
        ("nan", None), ("soon", None),
    ],
)  # fmt: skip
def test_retry_after_as_seconds_or_date(value, seconds) -> None:
    assert retry_after({"retry-after": value}, now=10.0) == seconds


def test_milliseconds_win_and_no_header_is_none() -> None:
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({}) is None
