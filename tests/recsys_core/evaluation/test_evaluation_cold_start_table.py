import polars as pl
import pytest

from recsys_core.columns import COLD, FOLD, METHOD, PROTOCOL, USER, VALUE, check
from recsys_core.evaluation.cold_start_table import cold_table


def values(*rows: tuple[int, str, str, float | None]) -> pl.DataFrame:
    names = {FOLD: pl.Int32, USER: pl.String, PROTOCOL: pl.String, VALUE: pl.Float64}
    return pl.DataFrame(rows, schema=names, orient="row")


OURS = values(
    (0, "ann", "cold_item", 0.5), (0, "bob", "cold_item", 0.3), (1, "ann", "cold_item", 0.7),
    (1, "bob", "cold_item", None), (0, "ann", "cold_user(1)", 1.0),
)  # fmt: skip
OTHER = values(
    (0, "ann", "cold_item", 0.1), (0, "bob", "cold_item", 0.2), (1, "ann", "cold_item", 0.1),
    (1, "bob", "cold_item", None),
)  # fmt: skip


def test_a_user_counts_once_per_seed_in_the_mean_and_once_in_the_test():
    table = cold_table({"ours": OURS, "other": OTHER}, "ours", bootstrap=50)
    check(table, COLD, table="cold start")
    assert table.select(PROTOCOL, METHOD).rows() == [
        ("cold_item", "ours"), ("cold_item", "other"), ("cold_user(1)", "ours"),
    ]  # fmt: skip
    ours, other, alone = table.iter_rows(named=True)
    assert ours[VALUE] == pytest.approx((0.5 + 0.3 + 0.7) / 3)
    assert (ours["users"], ours["difference"], ours["p_adjusted"]) == (3, None, None)
    # ann: mean of -.4 and -.6; bob: -.1
    assert other["difference"] == pytest.approx((-0.5 - 0.1) / 2)
    assert ours["ci_low"] <= ours[VALUE] <= ours["ci_high"]
    assert (alone["users"], alone[VALUE]) == (1, 1.0)


def test_without_the_reference_there_are_means_only():
    table = cold_table({"other": OTHER}, "ours", bootstrap=0)
    row = table.row(0, named=True)
    assert row[VALUE] == pytest.approx(0.4 / 3)
    assert (row["ci_low"], row["difference"], row["p_adjusted"]) == (None, None, None)
