"""A hard ceiling in dollars and tokens, and what a run will cost before it starts.

Before an attempt its highest possible cost is reserved, after it the real one is counted; where no
usage comes back (a time-out, a broken body) the highest possible one stays counted. A call that
does not fit beside those under way waits for them; one that does not fit at all ends the run.
What other processes have spent and reserved is checked when the lease on the answer is taken
(`store/leases.py`).
"""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

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


BudgetScope = Literal["run", "root"]


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """What may be spent in all, in one run or by all runs that share the cache of answers."""

    dollars: float | None = None
    tokens: int | None = None
    scope: BudgetScope = "run"

    @property
    def is_set(self) -> bool:
        """Whether there is any."""
        return self.dollars is not None or self.tokens is not None

    def fits(self, total: Spending) -> bool:
        """Whether `total` is within it."""
        dollars = self.dollars is None or total.dollars <= self.dollars
        return dollars and (self.tokens is None or total.tokens <= self.tokens)

    def __str__(self) -> str:
        parts = []
        if self.dollars is not None:
            parts.append(f"llm.max_dollars = {self.dollars:g}")
        if self.tokens is not None:
            parts.append(f"llm.max_tokens = {self.tokens}")
        return f"{' and '.join(parts)} (llm.budget_scope = {self.scope})"


class Budget:
    """The ceiling of one run, shared by all of its threads in this process.

    Attributes:
        ceiling: what may be spent.
    """

    def __init__(self, ceiling: Ceiling, spent: Spending | None = None) -> None:
        self.ceiling = ceiling
        self._spent = spent or Spending()
        self._reserved = Spending()
        self._open = 0
        self._lock = threading.Lock()

    @property
    def spent(self) -> Spending:
        """What has been spent so far in the ceiling's scope, as far as this process knows."""
        return self._spent

    async def reserve(self, wanted: Spending) -> None:
        """Set `wanted` aside, waiting for calls under way if it does not fit beside them.

        Raises:
            BudgetExceeded: it does not fit under the ceiling at all.
        """
        while not self._reserve(wanted):
            await asyncio.sleep(_LOOK_AGAIN_S)

    def release(self, reserved: Spending, spent: Spending | None = None) -> None:
        """Give back a reservation; `spent` is the scope's total after the call, as stored."""
        with self._lock:
            self._reserved -= reserved
            self._open -= 1
            if spent is not None and spent.tokens >= self._spent.tokens:
                self._spent = spent

    def exceeded(self, wanted: Spending) -> BudgetExceeded:
        """The error for a call that does not fit."""
        spent, where = self._spent, "in this run"
        if self.ceiling.scope == "root":
            where = "by all runs that share this cache of answers"
        return BudgetExceeded(
            f"The budget of LLM calls is used up: {spent.dollars:.4f} dollars and {spent.tokens}"
            f" tokens are spent {where}, and the next call may take {wanted.dollars:.4f} dollars"
            f" and {wanted.tokens} tokens.",
            expected=f"a total within {self.ceiling}.",
            fix="raise the ceiling and run the same command again. Every answer bought so far is"
            " kept in the cache and is not asked for again: the run goes on where it stopped.",
        )

    def _reserve(self, wanted: Spending) -> bool:
        with self._lock:
            if self.ceiling.fits(self._spent + self._reserved + wanted):
                self._reserved += wanted
                self._open += 1
                return True
            if self._open:
                return False
        raise self.exceeded(wanted)


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


def shared_budget(run: tuple[str, str], ceiling: Ceiling, spent: Spending) -> Budget:
    """The budget of `run` (cache and name): one object for all who ask in this process."""
    return shared(("llm budget", run, ceiling), lambda: Budget(ceiling, spent))
