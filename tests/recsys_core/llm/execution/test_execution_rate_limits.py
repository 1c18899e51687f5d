import asyncio
import time
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.http.rate_limit import MARGIN, Pace
from recsys_core.llm.execution.rate_limits import Limits, shared_limits


def most_in_a_minute(starts: list[tuple[float, float]]) -> float:
    times = [at for at, _ in starts]
    return max(
        sum(weight for _, weight in starts[i : bisect_left(times, at + 60)])
        for i, (at, _) in enumerate(starts)
    )


@given(
    st.integers(1, 300),
    st.lists(st.floats(0, 40), min_size=1, max_size=120),
    st.lists(st.floats(0.1, 1), min_size=1),
)
def test_no_minute_ever_holds_more_than_the_limit(
    limit: int, gaps: list[float], shares: list[float]
) -> None:
    pace, now, starts = Pace(float(limit)), 0.0, []
    for i, gap in enumerate(gaps):
        now += gap
        weight = limit * shares[i % len(shares)]
        at = pace.earliest(now, weight)
        assert at >= now
        pace.take(at, weight)
        starts.append((at, weight))
    assert most_in_a_minute(starts) <= limit * (1 + 1e-6)


@pytest.mark.parametrize("limit", [7, 60, 600, 3000])
def test_a_queue_is_served_within_three_percent_of_the_limit(limit: int) -> None:
    pace, starts = Pace(float(limit)), []
    for _ in range(3 * limit):
        at = pace.earliest(0.0, 1.0)
        pace.take(at, 1.0)
        starts.append((at, 1.0))
    achieved = 60 * (len(starts) - 1) / starts[-1][0]
    times = [at for at, _ in starts]
    assert 0.97 * limit <= achieved <= limit
    assert max(bisect_left(times, at + 60) - i for i, at in enumerate(times)) <= limit


def test_a_pause_is_not_made_up_for_by_a_burst() -> None:
    pace = Pace(60.0)
    pace.take(pace.earliest(0.0, 1.0), 1.0)
    starts = []
    for _ in range(5):
        starts.append(pace.earliest(100.0, 1.0))
        pace.take(starts[-1], 1.0)
    gaps = [later - sooner for sooner, later in pairwise(starts)]
    assert gaps == pytest.approx([1 + MARGIN] * 4)


def test_a_correction_moves_the_next_start() -> None:
    pace = Pace(600.0)
    slot = pace.take(0.0, 300.0)
    late = pace.earliest(0.0, 1.0)
    pace.correct(slot, 30.0)
    assert pace.earliest(0.0, 1.0) == pytest.approx(late / 10)
    pace.correct(slot, 600.0)
    assert pace.earliest(0.0, 1.0) == pytest.approx(2 * late)


def test_memory_of_the_pace_is_bounded() -> None:
    pace = Pace(1000.0)
    for _ in range(5000):
        pace.take(pace.earliest(0.0, 1.0), 1.0)
    assert len(pace._slots) <= 1001


def test_the_real_clock_keeps_the_pace() -> None:
    limits = Limits(max_in_flight=8, requests_per_minute=1200)
    starts: list[float] = []

    async def call() -> None:
        async with limits.in_flight():
            await limits.start(0)
            starts.append(time.monotonic())
            await asyncio.sleep(0.01)

    async def main() -> None:
        await asyncio.gather(*[call() for _ in range(21)])

    asyncio.run(main())
    span = max(starts) - min(starts)
    assert span >= 20 * 60 / 1200 * (1 + MARGIN) - 0.02


def test_tokens_are_corrected_after_the_call() -> None:
    now = [0.0]
    limits = Limits(max_in_flight=1, tokens_per_minute=6000, clock=lambda: now[0])

    async def main() -> tuple[float, float]:
        first = await limits.start(600)
        waiting = limits._grant(1)
        limits.correct(waiting, 0)
        limits.correct(first, 60)
        return waiting.at, limits._grant(1).at

    before, after = asyncio.run(main())
    assert before == pytest.approx(6 * (1 + MARGIN))
    assert after == pytest.approx(0.6 * (1 + MARGIN))


def test_a_call_above_the_limit_is_let_through_alone() -> None:
    limits = Limits(max_in_flight=1, tokens_per_minute=100)
    assert limits._grant(1000).slots[0][1].weight == 100


def test_in_flight_holds_for_all_threads_of_the_process() -> None:
    limits = shared_limits(
        "here", max_in_flight=3, requests_per_minute=None, tokens_per_minute=None
    )
    assert limits is shared_limits(
        "here", max_in_flight=3, requests_per_minute=None, tokens_per_minute=None
    )
    inside, peak = [0], [0]

    async def call() -> None:
        async with limits.in_flight():
            inside[0] += 1
            peak[0] = max(peak[0], inside[0])
            await asyncio.sleep(0.002)
            inside[0] -= 1

    async def many() -> None:
        await asyncio.gather(*[call() for _ in range(40)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: asyncio.run(many()), range(4)))
    assert peak[0] <= 3
    assert inside[0] == 0
    assert limits._free == 3


def test_a_cancelled_wait_gives_its_place_back() -> None:
    limits = Limits(max_in_flight=1, requests_per_minute=60)

    async def hold() -> None:
        async with limits.in_flight():
            await limits.start(0)
            await asyncio.sleep(5)

    async def main() -> None:
        tasks = [asyncio.create_task(hold()) for _ in range(5)]
        await asyncio.sleep(0.01)
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(1), limits.in_flight():
            pass

    asyncio.run(main())
    assert limits._free == 1
