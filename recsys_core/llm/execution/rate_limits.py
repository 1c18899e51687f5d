"""Limits of one model in one process: calls in flight, requests and tokens per minute.

Calls are paced evenly, and a window guards the rest: in no minute do more than the limit start,
even after a pause or a correction. (Token buckets, as in aiolimiter, let a full bucket through at
once and then the rate on top of it: up to twice the limit in a window.) A call is given its
starting time when it asks, so the pace needs no lock across awaits and holds for all threads and
event loops of the process. Tokens are estimated before a call and corrected after it.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

MINUTE: Final = 60.0
MARGIN: Final = 0.01
"""The pace stays this far below the limit, since requests reach the server with a jitter."""
LATE: Final = 0.5
"""Seconds after which a missed start is given up for a new one: with the margin it stays
inside the window."""


@dataclass
class Slot:
    """One start: when, and how much it counts."""

    at: float
    weight: float
    passed: bool = False


class Pace:
    """At most `limit` per minute, evenly spaced."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._spacing = MINUTE * (1 + MARGIN) / limit
        self._window = MINUTE * (1 + MARGIN)
        self._slots: deque[Slot] = deque()
        self._sum = 0.0
        self._next = 0.0

    def earliest(self, after: float, weight: float) -> float:
        """The first time from `after` on at which `weight` may start."""
        at, total = max(after, self._next), self._sum
        for slot in self._slots:
            if slot.at > at - self._window and total + weight <= self.limit * (1 + 1e-9):
                break
            at, total = max(at, slot.at + self._window), total - slot.weight
        return at

    def take(self, at: float, weight: float) -> Slot:
        """Count `weight` as starting at `at`, which `earliest` has allowed."""
        while self._slots and self._slots[0].at <= at - self._window:
            old = self._slots.popleft()
            old.passed = True
            self._sum -= old.weight
        slot = Slot(at, weight)
        self._slots.append(slot)
        self._sum += weight
        self._next = at + weight * self._spacing
        return slot

    def correct(self, slot: Slot, weight: float) -> None:
        """Let `slot` count `weight` instead, and the following ones start sooner or later."""
        change = weight - slot.weight
        slot.weight = weight
        if not slot.passed:
            self._sum += change
        self._next += change * self._spacing


@dataclass(frozen=True)
class Start:
    """A granted start, to be corrected or given back."""

    at: float
    slots: tuple[tuple[Pace, Slot], ...]


class Limits:
    """The gate that every attempt passes; shared by all threads and event loops of the process."""

    def __init__(
        self,
        *,
        max_in_flight: int,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = max_in_flight
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._requests = Pace(requests_per_minute) if requests_per_minute else None
        self._tokens = Pace(tokens_per_minute) if tokens_per_minute else None
        self._lock = threading.Lock()
        self._clock = clock

    @asynccontextmanager
    async def in_flight(self) -> AsyncIterator[None]:
        """Hold one of the places for calls in flight; first come, first served."""
        await self._enter()
        try:
            yield
        finally:
            with self._lock:
                self._leave()

    async def start(self, tokens: float) -> Start:
        """Wait until a request of about `tokens` may start."""
        while True:
            start = self._grant(tokens)
            if not start.slots:
                return start
            try:
                await asyncio.sleep(max(0.0, start.at - self._clock()))
            except BaseException:
                self.correct(start, 0, requests=0)
                raise
            if self._clock() - start.at <= LATE:
                return start
            self.correct(start, 0, requests=0)  # the process stalled: queue again

    def correct(self, start: Start, tokens: float, *, requests: float = 1) -> None:
        """Put what a request really counted in the place of its estimate."""
        with self._lock:
            for pace, slot in start.slots:
                pace.correct(
                    slot, self._clamped(pace, tokens) if pace is self._tokens else requests
                )

    def _grant(self, tokens: float) -> Start:
        with self._lock:
            wanted = [(self._requests, 1.0), (self._tokens, tokens)]
            paces = [(pace, self._clamped(pace, weight)) for pace, weight in wanted if pace]
            at = self._clock()
            for pace, weight in paces:  # what may start at a time may start later, too
                at = pace.earliest(at, weight)
            return Start(at, tuple((pace, pace.take(at, weight)) for pace, weight in paces))

    @staticmethod
    def _clamped(pace: Pace, weight: float) -> float:
        return min(weight, pace.limit)  # a call above the limit has a window to itself

    async def _enter(self) -> None:
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            loop = asyncio.get_running_loop()
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append((loop, turn))
        try:
            await turn
        except BaseException:
            with self._lock:
                if (loop, turn) in self._waiting:
                    self._waiting.remove((loop, turn))
                else:
                    self._leave()  # the place had just been handed over
            raise

    def _leave(self) -> None:
        while self._waiting:
            loop, turn = self._waiting.popleft()
            if loop is asyncio.get_running_loop():
                loop.call_soon(_wake, turn)
                return
            if not loop.is_closed():
                loop.call_soon_threadsafe(_wake, turn)
                return
        self._free += 1


def _wake(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


_SHARED: Final[dict[tuple[object, ...], Limits]] = {}
_SHARED_LOCK: Final = threading.Lock()


def shared_limits(
    endpoint: str,
    *,
    max_in_flight: int,
    requests_per_minute: float | None,
    tokens_per_minute: float | None,
) -> Limits:
    """The limits of `endpoint` with these bounds: one object for all who ask in this process."""
    key = (endpoint, max_in_flight, requests_per_minute, tokens_per_minute)
    with _SHARED_LOCK:
        if key not in _SHARED:
            _SHARED[key] = Limits(
                max_in_flight=max_in_flight,
                requests_per_minute=requests_per_minute,
                tokens_per_minute=tokens_per_minute,
            )
        return _SHARED[key]
