"""When to try again: the only place that decides it."""

import random
from dataclasses import dataclass

from recsys_core.http.backoff import backoff
from recsys_core.llm.transport.base import SendFailed


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Exponential back-off with jitter, and `Retry-After` as a floor.

    Attributes:
        attempts: attempts in all.
        first_s: wait before the second attempt; it doubles with every further one.
        longest_s: longest wait; an endpoint that asks for more gets no further attempt.
    """

    attempts: int
    first_s: float
    longest_s: float

    def wait(self, attempt: int, failure: SendFailed, random_: random.Random) -> float | None:
        """Seconds to wait after failed attempt `attempt` (from 1); None to give up."""
        if not failure.retryable or attempt >= self.attempts:
            return None
        jittered = backoff(attempt, first_s=self.first_s, longest_s=self.longest_s, random_=random_)
        asked = failure.retry_after
        if asked is None:
            return jittered
        if asked > self.longest_s:
            return None
        # Never sooner than asked, and not all at the same moment.
        return max(jittered, asked + 0.02 + 0.1 * jittered * random_.random())
