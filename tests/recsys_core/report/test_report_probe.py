"""What the probe is told as: a share of the graph's NDCG@10, its interval, the money."""

from typing import Any

import polars as pl

from recsys_core.columns import COST, LLM_CALLS, PROBE, SUBJECT
from recsys_core.report.sections.probe import agreement_lines, probe_lines


def probe(*rows: dict[str, Any]) -> pl.DataFrame:
    base = {"group": "everybody", "stage": 0, "users": 100, "weight": 0.8, "scale": "score",
            "value": 0.25, "difference": -0.015, "ci_low": -0.0225, "ci_high": -0.0075,
            "decision": "futile"}  # fmt: skip
    return pl.DataFrame([{**base, **row} for row in rows], schema=dict(PROBE))


def calls(users: int, cost: float) -> pl.DataFrame:
    rows = [{SUBJECT: f"user:{n}", COST: cost} for n in range(users)]
    return pl.DataFrame([{name: row.get(name) for name in LLM_CALLS} for row in rows],
                        schema=dict(LLM_CALLS))  # fmt: skip


def test_a_harmful_judge_by_hand() -> None:
    lines = probe_lines(probe({}), calls(100, 0.0009), "gpt", 2333)
    assert lines == [
        "After 100 users and $0.09: reranking by gpt costs 6.0 % of NDCG@10 (3.0 to 9.0);"
        " the graph's lists are served.",
        "Judging everybody would have cost $2.10.",
    ]


def test_only_the_last_stage_is_told() -> None:
    first = {"decision": "go on", "users": 50}
    last = {"stage": 1, "difference": 0.05, "ci_low": 0.025, "ci_high": 0.075, "decision": "serve"}
    (line,) = probe_lines(probe(first, last), calls(0, 0.0), "gpt", 1000)
    assert line == (
        "After 100 users: reranking by gpt gains 20.0 % of NDCG@10 (10.0 to 30.0);"
        " the reranked lists are served."
    )


def test_groups_are_told_apart() -> None:
    rows = probe(
        {"group": "warm", "users": 90, "difference": 0.0, "ci_low": None, "ci_high": None},
        {"group": "cold", "users": 10, "decision": "serve", "difference": 0.05,
         "ci_low": 0.01, "ci_high": 0.09},
    )  # fmt: skip
    lines = probe_lines(rows, calls(100, 0.01), "gpt", 1000)
    assert lines[0].startswith("After 10 cold users: reranking by gpt gains 20.0 %")
    assert lines[1].startswith("After 90 warm users: reranking by gpt changes nothing")
    assert lines[2:] == [
        "The probe judged 100 users and $1.00.", "Judging everybody would have cost $10.00.",
    ]  # fmt: skip


def test_nothing_probed_is_nothing_told() -> None:
    assert probe_lines(probe().clear(), calls(0, 0.0), "gpt", 10) == []


def test_agreement_is_told_where_something_is_repeated() -> None:
    assert agreement_lines(None) == []
    assert "tau of 0.55 (0: the" in agreement_lines(0.553)[0]
