"""Several folds: means of means, and tests in which a user counts once."""

import polars as pl
import pytest

from recsys_core.columns import (
    DATA_SET,
    DIFFERENCE,
    FOLD,
    METHOD,
    METRIC,
    PER_USER,
    REPRODUCTION,
    USER,
    USERS,
    VALUE,
    K,
    check,
)
from recsys_core.errors import ConfigError
from recsys_core.evaluation.cross_validation import (
    FOLDS,
    compare_over_folds,
    mean_over_folds,
    user_table,
)
from recsys_core.evaluation.protocols import judge


def metrics(rows):
    full = [("d", fold, method, "full", 10, "ndcg", value, 0.1, 0.9, users)
            for fold, method, value, users in rows]  # fmt: skip
    return pl.DataFrame(full, schema=dict(REPRODUCTION), orient="row")


def test_each_fold_counts_the_same_whatever_its_users():
    table = mean_over_folds(metrics([(1, "a", 0.2, 10), (2, "a", 0.4, 90)]))
    row = table.row(0, named=True)
    assert row[VALUE] == pytest.approx((0.2 + 0.4) / 2)
    assert (row[USERS], row[FOLDS], row["ci_low"]) == (100, 2, None)


def test_one_fold_keeps_its_interval_and_a_fold_without_value_is_left_out():
    table = mean_over_folds(metrics([(1, "a", 0.2, 10), (2, "a", None, 0)]))
    assert table.select(VALUE, "ci_low", "ci_high", USERS, FOLDS).row(0) == (0.2, 0.1, 0.9, 10, 1)


def values(rows):
    return pl.DataFrame(
        rows, schema={FOLD: pl.Int32, USER: pl.String, VALUE: pl.Float64}, orient="row"
    )


def test_a_user_of_two_folds_counts_once_with_the_mean_difference():
    found = compare_over_folds(
        {
            "ours": values([(1, "x", 0.5), (2, "x", 0.5), (2, "y", 0.5)]),
            "theirs": values([(1, "x", 0.7), (2, "x", 0.1), (2, "y", 0.2)]),
        },
        "ours",
        resamples=100,
    )
    row = found.row(0, named=True)
    assert row[USERS] == 2
    # x: mean of +.2 and -.4; y: -.3.
    assert row[DIFFERENCE] == pytest.approx(1 / 2 * (1 / 2 * (0.2 - 0.4) - 0.3))


def test_only_common_folds_and_users_that_both_count():
    found = compare_over_folds(
        {
            "ours": values([(1, "x", 0.5), (2, "x", 0.9), (1, "y", None), (1, "z", 0.1)]),
            "one fold": values([(1, "x", 0.4), (1, "y", 0.3), (1, "z", 0.3)]),
        },
        "ours",
        resamples=100,
    )
    row = found.row(0, named=True)
    assert row[USERS] == 2
    assert row[DIFFERENCE] == pytest.approx(1 / 2 * (-0.1 + 0.2))


def test_a_reference_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="No method is called 'b'"):
        compare_over_folds({"a": values([])}, "b")


def test_the_table_of_users_holds_what_the_judgement_does():
    rows = {"user_id": ["x", "x", "y"], "item_id": [1, 2, 1], "rating": [5.0, 1.0, 2.0]}
    test = pl.DataFrame(rows, schema_overrides={"rating": pl.Float32})
    lists = pl.DataFrame({"user_id": ["x", "y"], "item_id": [1, 2], "rank": [1, 1]})
    judged = judge(
        lists, test.clear(), test, method="m", protocol="full", cutoffs=(1, 5), like_from=4.0
    )
    table = check(user_table(judged, 1), PER_USER, table="users")
    ndcg = table.filter(pl.col(METRIC) == "ndcg")
    assert ndcg.select(USER, K, VALUE).rows() == [("x", 1, 1.0), ("y", 1, None)]
    assert METHOD not in table.columns
    assert DATA_SET not in table.columns
