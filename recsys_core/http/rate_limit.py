"""A limit of requests per window of time that holds in every window, for any kind of client.

Counting starts when a request ends, not when it starts: a server sees a request at some moment
between the two, so no delay on the way can squeeze more than `limit` into one of its windows.
(With requests of 0.2 s and a window of 10 s that costs 2 % of the rate.)
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

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


_SHARED: Final[dict[tuple[str, int, float], WindowLimit]] = {}
_SHARED_LOCK: Final = threading.Lock()


def shared_limit(name: str, limit: int, window_s: float) -> WindowLimit:
    """The process's one limit of this name and size: a second client does not double the rate."""
    with _SHARED_LOCK:
        key = (name, limit, window_s)
        return _SHARED.setdefault(key, WindowLimit(limit, window_s))
