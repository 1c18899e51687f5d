"""A hard ceiling in dollars and tokens, and what a run will cost before it starts.

Before a call its highest possible cost is reserved, after it the real one is settled. A call that
does not fit beside those under way waits for them; one that does not fit at all ends the run.
What other processes of the same run have spent is learned with every answer that is stored.
"""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from recsys_core.concurrency import shared
from recsys_core.errors import BudgetExceeded
from recsys_core.llm.accounting.prices import Price, price_of
from recsys_core.llm.config import LLMConfig

_LOOK_AGAIN_S: Final = 0.02
_ASSUMED_LATENCY_S: Final = 1.0
_ASSUMED_TOKENS_PER_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Spending:
    """Dollars and tokens (in and out), spent or reserved."""

    dollars: float = 0.0
    tokens: int = 0

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(dollars=self.dollars + other.dollars, tokens=self.tokens + other.tokens)

    def __sub__(self, other: "Spending") -> "Spending":
        return Spending(dollars=self.dollars - other.dollars, tokens=self.tokens - other.tokens)


class Budget:
    """The ceiling of one run, shared by all of its threads in this process."""

    def __init__(
        self,
        *,
        max_dollars: float | None = None,
        max_tokens: int | None = None,
        spent: Spending | None = None,
    ) -> None:
        self.max_dollars, self.max_tokens = max_dollars, max_tokens
        self._spent = spent or Spending()
        self._reserved = Spending()
        self._open = 0
        self._lock = threading.Lock()

    @property
    def spent(self) -> Spending:
        """What the run has spent so far."""
        return self._spent

    async def reserve(self, wanted: Spending) -> None:
        """Set `wanted` aside, waiting for calls under way if it does not fit beside them.

        Raises:
            BudgetExceeded: it does not fit under the ceiling at all.
        """
        while not self._reserve(wanted):
            await asyncio.sleep(_LOOK_AGAIN_S)

    def release(self, reserved: Spending, spent: Spending | None = None) -> None:
        """Give back a reservation; `spent` is the run's total after the call, as stored."""
        with self._lock:
            self._reserved -= reserved
            self._open -= 1
            if spent is not None and spent.tokens >= self._spent.tokens:
                self._spent = spent

    def _reserve(self, wanted: Spending) -> bool:
        with self._lock:
            if self._fits(self._spent + self._reserved + wanted):
                self._reserved += wanted
                self._open += 1
                return True
            if self._open:
                return False
        raise self._exceeded(wanted)

    def _fits(self, total: Spending) -> bool:
        dollars = self.max_dollars is None or total.dollars <= self.max_dollars
        return dollars and (self.max_tokens is None or total.tokens <= self.max_tokens)

    def _exceeded(self, wanted: Spending) -> BudgetExceeded:
        spent, ceilings = self._spent, []
        if self.max_dollars is not None:
            ceilings.append(f"llm.max_dollars = {self.max_dollars:g}")
        if self.max_tokens is not None:
            ceilings.append(f"llm.max_tokens = {self.max_tokens}")
        return BudgetExceeded(
            f"The budget of LLM calls is used up: {spent.dollars:.4f} dollars and {spent.tokens}"
            f" tokens are spent, and the next call may take {wanted.dollars:.4f} dollars and"
            f" {wanted.tokens} tokens.",
            expected=f"a total within {' and '.join(ceilings)}.",
            fix="raise the ceiling and run the same command again. Every answer bought so far is"
            " kept in the cache and is not asked for again: the run goes on where it stopped.",
        )


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Calls of one purpose that a run will make.

    Attributes:
        calls: new ones.
        cached: answers that were paid for before.
        tokens_in: prompt tokens per new call.
        tokens_out: answer tokens per new call.
        chain: how many of these calls must follow one another (turns of one user).
    """

    purpose: str
    calls: int
    tokens_in: float
    tokens_out: float
    chain: int = 1
    cached: int = 0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run will ask for, before its first call."""

    calls: int
    tokens_in: int
    tokens_out: int
    dollars: float | None
    hours: float

    def __str__(self) -> str:
        cost = "price unknown" if self.dollars is None else f"about {self.dollars:.2f} dollars"
        return (
            f"{self.calls} new LLM calls at most, {self.tokens_in} tokens in and {self.tokens_out}"
            f" out, {cost}, {self.hours:.2f} hours at the configured limits"
        )


def estimate(planned: Sequence[Planned], config: LLMConfig, price: Price | None = None) -> Estimate:
    """Calls, tokens, dollars and hours of `planned`, without cached answers and repairs.

    The hours are the longest of what each limit demands, with an assumed second of latency and 60
    tokens per second and call; batch files take up to a day instead.
    """
    price = price_of(config) if price is None else price
    calls = sum(one.calls for one in planned)
    tokens_in = sum(one.calls * one.tokens_in for one in planned)
    tokens_out = sum(one.calls * one.tokens_out for one in planned)
    seconds = max(
        sum(_seconds(one, config) for one in planned),
        60 * calls / (config.requests_per_minute or float("inf")),
        60 * (tokens_in + tokens_out) / (config.tokens_per_minute or float("inf")),
    )
    return Estimate(
        calls=calls,
        tokens_in=round(tokens_in),
        tokens_out=round(tokens_out),
        dollars=price.dollars(round(tokens_in), round(tokens_out)) if price.known else None,
        hours=24.0 if config.batch and calls else seconds / 3600,
    )


def _seconds(one: Planned, config: LLMConfig) -> float:
    rounds = max(one.chain if one.calls else 0, one.calls / config.max_in_flight)
    return rounds * (_ASSUMED_LATENCY_S + one.tokens_out / _ASSUMED_TOKENS_PER_S)


def shared_budget(
    run: tuple[str, str], spent: Spending, *, max_dollars: float | None, max_tokens: int | None
) -> Budget:
    """The budget of `run` (cache and name): one object for all who ask in this process."""
    return shared(
        ("llm budget", run, max_dollars, max_tokens),
        lambda: Budget(max_dollars=max_dollars, max_tokens=max_tokens, spent=spent),
    )
