"""How long to wait before another attempt."""

import email.utils
import random
import time
from collections.abc import Mapping


def backoff(attempt: int, *, first_s: float, longest_s: float) -> float:
    """Seconds before the attempt after number `attempt` (from 1): doubling, capped, with jitter.

    The jitter takes up to half away, so that clients that failed together do not return together.
    """
    full: float = min(first_s * 2.0 ** min(attempt - 1, 64), longest_s)
    return full * random.uniform(0.5, 1)  # noqa: S311  no secret


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait by the `Retry-After` header (seconds or an HTTP date); None without one.

    Args:
        headers: of the response, looked up in lower case.
        now: Unix time that a date is compared with; default: the clock's.
    """
    stated = headers.get("retry-after", "").strip()
    try:
        seconds = float(stated)
        return seconds if 0 <= seconds < float("inf") else None
    except ValueError:
        pass
    try:
        date = email.utils.parsedate_to_datetime(stated)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - (time.time() if now is None else now))
