"""Client-side rate limits that hold in every window of time, not only on average.

`WindowLimit` counts a request until one window after its end. A server sees a request at some
moment between its start and its end, so no delay on the way can squeeze more than `limit` into one
of the server's windows; bursts are allowed. It suits short requests (TMDB): with requests of 0.2 s
and a window of 10 s it costs 2 % of the rate.

`Pace` spaces starts evenly and counts starts, so requests that take long cost no rate (language
models); weights (tokens) may be corrected afterwards. A token bucket, as in aiolimiter, lets a full
bucket through at once and the rate on top of it: up to twice the limit in a window.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from recsys_core.concurrency import shared

MINUTE: Final = 60.0
MARGIN: Final = 0.01
"""The pace stays this far below the limit, since requests reach the server with a jitter."""
_LOOK_AGAIN: Final = 0.01
"""Seconds until a waiter looks again whether a request under way has ended."""


class WindowLimit:
    """At most `limit` requests in any `window_s` seconds, as the server sees them.

    Safe to share between threads and between event loops, one after the other or at once.

    Args:
        limit: requests per window, at least 1.
        window_s: length of the window in seconds.
    """

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit, self.window_s = limit, window_s
        self._open = 0
        self._ended: deque[float] = deque()
        self._lock = threading.Lock()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for room, then make one request inside the context."""
        while (wait := self._try()) > 0:
            await asyncio.sleep(wait)
        try:
            yield
        finally:
            self._leave()

    def _try(self) -> float:
        """Take a place and return 0, or return the seconds after which to try again."""
        now = _now()
        with self._lock:
            while self._ended and self._ended[0] + self.window_s <= now:
                self._ended.popleft()
            if self._open + len(self._ended) < self.limit:
                self._open += 1
                return 0.0
            return self._ended[0] + self.window_s - now if self._ended else _LOOK_AGAIN

    def _leave(self) -> None:
        with self._lock:
            self._open -= 1
            self._ended.append(_now())


def _now() -> float:
    # The loop's clock is time.monotonic, the same in every loop; a test may run a virtual one.
    return asyncio.get_running_loop().time()


def shared_limit(name: str, limit: int, window_s: float) -> WindowLimit:
    """The process's one limit of this name and size: a second client does not double the rate."""
    return shared(("window", name, limit, window_s), lambda: WindowLimit(limit, window_s))


@dataclass
class PacedStart:
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
        self._slots: deque[PacedStart] = deque()
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

    def take(self, at: float, weight: float) -> PacedStart:
        """Count `weight` as starting at `at`, which `earliest` has allowed."""
        while self._slots and self._slots[0].at <= at - self._window:
            old = self._slots.popleft()
            old.passed = True
            self._sum -= old.weight
        slot = PacedStart(at, weight)
        self._slots.append(slot)
        self._sum += weight
        self._next = at + weight * self._spacing
        return slot

    def correct(self, slot: PacedStart, weight: float) -> None:
        """Let `slot` count `weight` instead, and the following ones start sooner or later."""
        change = weight - slot.weight
        slot.weight = weight
        if not slot.passed:
            self._sum += change
        self._next += change * self._spacing
