"""What reranking gains: like is compared with like, and what is missing is left out."""

import polars as pl
import pytest

from recsys_core.columns import DATA_SET, METHOD, REPRODUCTION, STRATEGY_COSTS
from recsys_core.report.sections.strategy_gains import Reranking, gains

PAIR = Reranking(base="gat", method="gat_pairwise", strategy="pairwise")
PROTOCOLS = ("full", "condensed")


def metrics(rows: list[tuple[str, int, str, str, float | None]]) -> pl.DataFrame:
    """Rows of data set, fold, method, protocol, NDCG at 10; and values that must not count."""
    told = [
        {"data_set": data, "fold": fold, "method": method, "protocol": protocol, "k": k,
         "metric": metric, "value": value if (k, metric) == (10, "ndcg") else 9.0,
         "ci_low": None, "ci_high": None, "users": 5}
        for data, fold, method, protocol, value in rows
        for k, metric in ((10, "ndcg"), (5, "ndcg"), (10, "map"))
    ]  # fmt: skip
    return pl.DataFrame(told, schema=dict(REPRODUCTION))


def costs(*rows: tuple[str, str, float]) -> pl.DataFrame:
    schema = {**STRATEGY_COSTS, DATA_SET: pl.String, METHOD: pl.String}
    told = [
        {"strategy": "pairwise", "model": "m", "users": 5, "calls": calls, "tokens_in": 10.0,
         "tokens_out": 1.0, "cost_usd": 0.5, "latency_s": 3.0, "seconds": 2.0,
         "data_set": data, "method": method}
        for data, method, calls in rows
    ]  # fmt: skip
    return pl.DataFrame(told, schema=schema)


def test_only_folds_that_have_both_lists_count() -> None:
    table = metrics([
        ("a", 1, "gat", "full", 0.4), ("a", 1, "gat_pairwise", "full", 0.5),
        ("a", 2, "gat", "full", 0.2), ("a", 2, "gat_pairwise", "full", 0.1),
        ("a", 3, "gat", "full", 0.9), ("a", 1, "gat", "condensed", 0.6),
        ("a", 1, "gat", "full/cold<10", 0.1), ("a", 1, "gat_pairwise", "full/cold<10", 0.9),
    ])  # fmt: skip
    (row,) = gains(table, [PAIR], costs(), PROTOCOLS, 10)
    assert row.folds == (1, 2)
    assert set(row.changes) == {"full"}, "condensed was not measured after reranking"
    change = row.changes["full"]
    assert (change.before, change.after, change.gain) == pytest.approx((0.3, 0.3, 0.0))
    assert row.costs == {}


def test_costs_are_means_over_the_folds_of_this_method_alone() -> None:
    table = metrics([("a", 1, "gat", "full", 0.4), ("a", 1, "gat_pairwise", "full", 0.5)])
    told = costs(("a", "gat_pairwise", 100), ("a", "gat_pairwise", 200),
                 ("a", "other", 7), ("b", "gat_pairwise", 7))  # fmt: skip
    (row,) = gains(table, [PAIR], told, PROTOCOLS, 10)
    assert row.costs == {
        "calls": 150, "tokens_in": 10, "tokens_out": 1, "cost_usd": 0.5, "seconds": 2,
    }  # fmt: skip


@pytest.mark.parametrize("method", ["gat", "gat_pairwise"])
def test_a_pair_with_one_method_missing_has_no_row(method: str) -> None:
    assert gains(metrics([("a", 1, method, "full", 0.4)]), [PAIR], costs(), PROTOCOLS, 10) == []
    unmeasured = metrics([("a", 1, "gat", "full", 0.4), ("a", 1, "gat_pairwise", "full", None)])
    assert gains(unmeasured, [PAIR], costs(), PROTOCOLS, 10) == []


def test_data_sets_are_kept_apart() -> None:
    table = metrics([(data, 1, method, "full", value) for data, value in (("a", 0.1), ("b", 0.2))
                     for method in ("gat", "gat_pairwise")])  # fmt: skip
    rows = gains(table, [PAIR], costs(), PROTOCOLS, 10)
    assert [(row.data_set, row.changes["full"].after) for row in rows] == [("a", 0.1), ("b", 0.2)]
