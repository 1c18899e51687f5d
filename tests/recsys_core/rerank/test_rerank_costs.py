from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from recsys_core.columns import LLM_CALLS, STRATEGY_COSTS, check
from recsys_core.rerank.costs import strategy_costs

START = datetime(2026, 1, 1, tzinfo=UTC)


def call(purpose: str, user: int, at: float, **more: Any) -> dict[str, Any]:
    return {
        "key": "k", "purpose": purpose, "subject": f"user:{user}", "model": "m",
        "prompt_version": "v", "tokens_in": 100, "tokens_out": 10, "cost_usd": 0.01,
        "latency_s": 2.0, "waited_s": 0.5, "attempts": 1, "verdict": "ok",
        "started_at": START + timedelta(seconds=at), **more,
    }  # fmt: skip


def ledger(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(LLM_CALLS))


def test_per_thousand_users_by_hand() -> None:
    calls = [
        call("relevancy", 1, 0), call("relevancy", 1, 0), call("relevancy", 2, 7),
        call("relevancy", 2, 3, model="other", tokens_in=7), call("prompt_level", 1, 0),
        call("item_profile", 3, 100),
    ]  # fmt: skip
    table = check(strategy_costs(ledger(calls)), STRATEGY_COSTS, table="costs")
    assert table.select("strategy", "model").rows() == [
        ("prompt-level", "m"), ("relevancy", "m"), ("relevancy", "other"),
    ]  # fmt: skip
    row = table.row(1, named=True)
    assert row["users"] == 2
    assert row["calls"] == pytest.approx(3 * 1000 / 2)
    assert row["tokens_in"] == pytest.approx(3 * 100 * 1000 / 2)
    assert row["tokens_out"] == pytest.approx(3 * 10 * 1000 / 2)
    assert row["cost_usd"] == pytest.approx(3 * 0.01 * 1000 / 2)
    assert row["latency_s"] == pytest.approx(3 * 2 * 1000 / 2)
    assert row["seconds"] == pytest.approx((7 + 2 + 0.5) * 1000 / 2)


def test_no_calls() -> None:
    table = strategy_costs(ledger([]))
    assert table.is_empty()
    check(table, STRATEGY_COSTS, table="costs")
