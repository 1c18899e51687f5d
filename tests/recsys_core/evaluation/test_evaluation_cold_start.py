import numpy as np
import polars as pl
import pytest

from recsys_core.columns import (
    COLD,
    FOLD,
    ITEM,
    METHOD,
    PROTOCOL,
    RANK,
    RATING,
    TIMESTAMP,
    USER,
    VALUE,
    check,
)  # fmt: skip
from recsys_core.datasets.cold_start_splits import ColdItems, ColdUsers
from recsys_core.errors import DataError
from recsys_core.evaluation.cold_start import (
    cold_table,
    judge_cold_items,
    judge_cold_users,
)


def interactions(rows):
    table = pl.DataFrame(rows, schema=[USER, ITEM, RATING], orient="row")
    return table.with_columns(
        pl.col(RATING).cast(pl.Float32), pl.lit(None, pl.Int64).alias(TIMESTAMP)
    )


def lists(**rankings):
    rows = [
        (user, item, rank)
        for user, items in rankings.items()
        for rank, item in enumerate(items.split(), 1)
    ]
    return pl.DataFrame(
        rows, schema={USER: pl.String, ITEM: pl.String, RANK: pl.Int32}, orient="row"
    )


WARM = interactions([("w", item, 4) for item in "abcdef"])
USERS = ColdUsers(
    train=WARM,
    shown=interactions([("x", "a", 5), ("y", "b", 1)]),
    test=interactions([("x", "b", 5), ("x", "c", 4), ("x", "d", 1), ("y", "a", 2)]),
    users=pl.Series(USER, ["x", "y"]),
    too_short=0,
    n=1,
    seed=0,
)
ITEMS = ColdItems(
    train=interactions([("x", "a", 5), ("y", "b", 5), ("z", "c", 3)]),
    test=interactions([("x", "e", 5), ("x", "f", 2), ("y", "e", 2), ("new", "f", 4)]),
    items=pl.Series(ITEM, ["e", "f"]),
    seed=0,
)
HOW = {"method": "m", "cutoffs": (2,), "like_from": 4.0}


def test_shown_items_are_no_candidates_and_only_liked_ones_count():
    judged = judge_cold_users(lists(x="a b d", y="c d"), USERS, **HOW)
    # a was shown to x, so b leads; c is missed: 1 / (1 + 1 / log2(3)); y has nothing relevant.
    np.testing.assert_allclose(
        judged.per_user("ndcg", 2), [1 / (1 + 1 / np.log2(3)), np.nan], rtol=1e-12
    )
    np.testing.assert_allclose(judged.per_user("precision", 2), [1 / 2, 0])
    assert judged.protocol == "cold_user(1)"
    assert judged.notes["seen_items_removed"] == 1


def test_only_users_with_a_relevant_new_item_count():
    judged = judge_cold_items(lists(x="f e", new="f e", y="e f"), ITEMS, **HOW)
    assert judged.users.to_list() == ["new", "x"]
    np.testing.assert_allclose(judged.per_user("ndcg", 2), [1, 1 / np.log2(3)])
    assert judged.protocol == "cold_item"


def test_items_that_were_trained_on_do_not_belong_in_the_list():
    with pytest.raises(DataError, match="1 rows rank items that are not held out"):
        judge_cold_items(lists(x="e a"), ITEMS, **HOW)


def per_user(*rows: tuple[int, str, str, float | None]) -> pl.DataFrame:
    names = {FOLD: pl.Int32, USER: pl.String, PROTOCOL: pl.String, VALUE: pl.Float64}
    return pl.DataFrame(rows, schema=names, orient="row")


OURS = per_user(
    (0, "ann", "cold_item", 0.5), (0, "bob", "cold_item", 0.3), (1, "ann", "cold_item", 0.7),
    (1, "bob", "cold_item", None), (0, "ann", "cold_user(1)", 1.0),
)  # fmt: skip
OTHER = per_user(
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
