"""How long to wait before another attempt."""

import email.utils
import random
import time
from collections.abc import Mapping


def backoff(
    attempt: int, *, first_s: float, longest_s: float, random_: random.Random | None = None
) -> float:
    """Seconds before the attempt after number `attempt` (from 1): doubling, capped, with jitter.

    The jitter takes up to half away, so that clients that failed together do not return together.
    """
    full: float = min(first_s * 2.0 ** min(attempt - 1, 64), longest_s)
    return full * (random_ or random).uniform(0.5, 1)


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
