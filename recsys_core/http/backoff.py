"""Exponential backoff with jitter, and what a response's `Retry-After` asks for."""

import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass


def backoff(
    attempt: int, *, first_s: float, longest_s: float, random_: random.Random | None = None
) -> float:
    """Seconds before the attempt after number `attempt` (from 1): doubling, capped, with jitter.

    The jitter takes up to half away, so that clients that failed together do not return together.
    """
    full: float = min(first_s * 2.0 ** min(attempt - 1, 64), longest_s)
    return full * (random_ or random).uniform(0.5, 1)


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """The waits of one client: exponential with jitter, and `Retry-After` as a lower bound.

    Attributes:
        attempts: attempts in all.
        first_s: wait before the second attempt; it doubles with every further one.
        longest_s: longest wait; a server that asks for more gets no further attempt.
    """

    attempts: int
    first_s: float
    longest_s: float

    def wait(self, attempt: int, asked_s: float | None, random_: random.Random) -> float | None:
        """Seconds to wait after failed attempt `attempt` (from 1); None to give up.

        Args:
            attempt: number of the attempt that failed.
            asked_s: what `Retry-After` asked for, if anything.
            random_: source of the jitter.
        """
        if attempt >= self.attempts or (asked_s or 0.0) > self.longest_s:
            return None
        jittered = backoff(attempt, first_s=self.first_s, longest_s=self.longest_s, random_=random_)
        if asked_s is None:
            return jittered
        # Never sooner than asked, and not all at the same moment.
        return max(jittered, asked_s + 0.02 + 0.1 * jittered * random_.random())


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait by `Retry-After` (seconds or a date) or `retry-after-ms`; None if neither.

    Args:
        headers: of the response, looked up in lower case.
        now: Unix time that a date is compared with; default: the clock's.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    stated = headers.get("retry-after")
    seconds = _number(stated)
    if seconds is not None or not stated:
        return seconds
    try:
        date = email.utils.parsedate_to_datetime(stated)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - (time.time() if now is None else now))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
