import numpy as np
import polars as pl
import pytest

from recsys_core.columns import ITEM, RANK, RATING, TIMESTAMP, USER
from recsys_core.datasets.cold_start_splits import ColdItems, ColdUsers
from recsys_core.errors import DataError
from recsys_core.evaluation.cold_start import (
    judge_cold_items,
    judge_cold_users,
    pooled,
    random_ranking,
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


def test_seeds_are_pooled_user_by_user():
    one = judge_cold_items(lists(x="f e", new="f e"), ITEMS, **HOW)
    two = judge_cold_items(lists(x="e f", new="e f"), ITEMS, **HOW)
    both = pooled([one, two])
    assert both.users.to_list() == ["new", "x"] * 2
    mean = both.table(bootstrap=0).filter(metric="ndcg")
    assert mean["value"].item() == pytest.approx((1 + 1 / np.log2(3)) / 2)
    assert mean["users"].item() == 4
    for wrong in ([], [one, judge_cold_users(lists(x="b", y="c"), USERS, **HOW)]):
        with pytest.raises(DataError, match="cannot be pooled"):
            pooled(wrong)


def test_the_random_floor_ranks_every_item_once():
    users, items = pl.Series(USER, ["x", "y", "z"]), pl.Series(ITEM, list("abcd"))
    table = random_ranking(users, items, 10, seed=0)
    assert table.group_by(USER).agg(pl.col(ITEM).n_unique())[ITEM].to_list() == [4, 4, 4]
    assert table[RANK].to_list() == [1, 2, 3, 4] * 3
    assert table.equals(random_ranking(users, items, 10, seed=0))
    assert not table.equals(random_ranking(users, items, 10, seed=1))
