"""Rate limits of one model in one process: calls in flight, requests and tokens per minute.

Requests and tokens have a `Pace` each (`recsys_core.http.rate_limit`). A call is given its start
time when it asks, so no lock is held across awaits, and the limits hold for all threads and event
loops of the process. Tokens are estimated before a call and corrected after it.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from recsys_core.concurrency import shared
from recsys_core.http.rate_limit import Pace, PacedStart

LATE: Final = 0.5
"""Seconds after which a missed start is given up for a new one: with the margin it stays
inside the window."""


@dataclass(frozen=True)
class Start:
    """A granted start, to be corrected or given back."""

    at: float
    slots: tuple[tuple[Pace, PacedStart], ...]


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


def shared_limits(
    endpoint: str,
    *,
    max_in_flight: int,
    requests_per_minute: float | None,
    tokens_per_minute: float | None,
) -> Limits:
    """The limits of `endpoint` with these bounds: one object for all who ask in this process."""
    return shared(
        ("llm limits", endpoint, max_in_flight, requests_per_minute, tokens_per_minute),
        lambda: Limits(
            max_in_flight=max_in_flight,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
        ),
    )
