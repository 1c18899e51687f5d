"""The ledger: a row per call to a model, and their totals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import polars as pl

from recsys_core import columns as c

Verdict = Literal["ok", "repaired", "invalid", "failed", "refused", "unavailable", "lost"]
"""How a call ended.

`ok`: a valid answer. `invalid`: not valid, so a repair call followed; `repaired`: that repair
call's answer is valid, `failed`: it is not, either. `refused`: the endpoint rejected the request,
or the model declined. `unavailable`: no answer after all attempts. `lost`: an attempt that the
provider may have billed gave no usable answer (a time-out, a broken body, a killed process); its
tokens are the most that it can have cost. Repair calls and lost attempts have rows of their own;
answers from the cache have none.
"""

CALLS: Final = "calls"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One row.

    Attributes:
        latency_s: seconds the endpoint took, over all attempts.
        waited_s: seconds spent waiting for limits and between attempts.
        started: Unix seconds.
    """

    key: str
    purpose: str
    subject: str
    model: str
    prompt_version: str
    tokens_in: int
    tokens_out: int
    cost: float
    latency_s: float
    waited_s: float
    attempts: int
    verdict: Verdict
    started: float

    def row(self) -> dict[str, Any]:
        """The values by column; the time as microseconds, since data bases differ in time types."""
        values = (
            self.key, self.purpose, self.subject, self.model, self.prompt_version, self.tokens_in,
            self.tokens_out, self.cost, self.latency_s, self.waited_s, self.attempts, self.verdict,
            math.floor(self.started * 1e6),
        )  # fmt: skip
        return dict(zip(c.LLM_CALLS, values, strict=True))


def ledger(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows (as `Call.row` gives them) as the table `columns.LLM_CALLS`, oldest first."""
    stored = {**c.LLM_CALLS, c.STARTED: pl.Int64}
    frame = pl.DataFrame([dict(row) for row in rows], schema=stored)
    started = pl.col(c.STARTED).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return c.check(frame.with_columns(started).sort(c.STARTED, maintain_order=True),
                   c.LLM_CALLS, table="llm_calls")  # fmt: skip


def totals(calls: pl.DataFrame) -> pl.DataFrame:
    """Calls, tokens, dollars, attempts and seconds per purpose and model, for the summary."""
    summed = (c.TOKENS_IN, c.TOKENS_OUT, c.COST, c.ATTEMPTS, c.LATENCY, c.WAITED)
    return (
        calls.group_by(c.PURPOSE, c.MODEL)
        .agg(pl.len().alias(CALLS), *(pl.col(name).sum() for name in summed))
        .sort(c.PURPOSE, c.MODEL)
    )
