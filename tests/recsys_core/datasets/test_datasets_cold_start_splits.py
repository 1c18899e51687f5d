from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.columns import ITEM, RATING, TIMESTAMP, USER
from recsys_core.datasets.cold_start_splits import SHOWN, cold_items, cold_users
from recsys_core.errors import ConfigError, DataError

PAIRS = [USER, ITEM]


def frame(pairs):
    table = pl.DataFrame(pairs, schema={USER: pl.Int64, ITEM: pl.Int64}, orient="row")
    return table.with_columns(
        pl.lit(4.0, pl.Float32).alias(RATING), pl.lit(None, pl.Int64).alias(TIMESTAMP)
    )


tables = (
    st.sets(st.tuples(st.integers(0, 12), st.integers(0, 9)), min_size=2, max_size=60)
    .filter(lambda pairs: all(len({pair[side] for pair in pairs}) > 1 for side in (0, 1)))
    .map(lambda pairs: frame(sorted(pairs)))
)


@settings(deadline=None, max_examples=60)
@given(tables, st.integers(0, 5), st.integers(0, 99))
def test_new_users_are_in_no_training_row_and_show_n(data, n, seed):
    split = cold_users(data, n, seed)
    users = data[USER].n_unique()
    held_out = users - split.train[USER].n_unique()
    assert held_out == max(1, round(users / 5))
    assert not set(split.train[USER]) & (set(split.shown[USER]) | set(split.test[USER]))
    assert split.users.len() + split.too_short == held_out
    assert set(split.test[USER]) == set(split.users)
    assert (split.shown.height, split.shown[USER].n_unique()) == (
        n * split.users.len(), split.users.len() if n else 0
    )  # fmt: skip
    assert split.shown.join(split.test, on=PAIRS).is_empty()
    theirs = data.filter(pl.col(USER).is_in(split.users.implode()))
    assert split.shown.height + split.test.height == theirs.height
    assert split.train.schema == split.shown.schema == split.test.schema == data.schema


@settings(deadline=None, max_examples=40)
@given(tables, st.integers(0, 99))
def test_more_evidence_of_the_same_users_only(data, seed):
    splits = [cold_users(data, n, seed) for n in SHOWN]
    for less, more in pairwise(splits):
        assert less.train.equals(more.train)
        assert set(more.users) <= set(less.users)
        remaining = less.shown.filter(pl.col(USER).is_in(more.users.implode()))
        assert remaining.join(more.shown, on=PAIRS, how="anti").is_empty()


@settings(deadline=None, max_examples=60)
@given(tables, st.integers(0, 99))
def test_new_items_are_in_no_training_row(data, seed):
    split = cold_items(data, seed)
    assert split.items.len() == max(1, round(data[ITEM].n_unique() / 10))
    assert not set(split.items) & set(split.train[ITEM])
    assert set(split.test[ITEM]) == set(split.items)
    assert split.train.height + split.test.height == data.height
    assert split.train.height > 0


@pytest.mark.parametrize("cut", [lambda data: cold_users(data, 2, 7), lambda d: cold_items(d, 7)])
def test_the_order_of_the_file_changes_nothing_and_the_seed_does(cut):
    data = frame([(user, item) for user in range(30) for item in range(user % 7 + 40)])
    shuffled = data.sample(fraction=1, shuffle=True, seed=3)
    one, other = cut(data), cut(shuffled)
    assert one.test.sort(PAIRS).equals(other.test.sort(PAIRS))
    assert one.train.sort(PAIRS).equals(other.train.sort(PAIRS))
    assert not cold_users(data, 2, 8).users.equals(cold_users(data, 2, 7).users)
    assert not cold_items(data, 9).items.equals(cold_items(data, 7).items)


def test_string_ids_and_users_with_nothing_left():
    data = frame([(user, item) for user in range(10) for item in range(3)])
    split = cold_users(data.with_columns(pl.col(PAIRS).cast(pl.String)), 3, 0)
    assert (split.users.len(), split.too_short) == (0, 2)
    assert split.shown.is_empty()
    assert split.test.is_empty()
    assert split.train.height == 8 * 3


def test_wrong_arguments_are_errors():
    with pytest.raises(ConfigError, match=r"cold_user\(-1\)"):
        cold_users(frame([(1, 1), (2, 1)]), -1, 0)
    with pytest.raises(DataError, match="1 distinct values of user_id"):
        cold_users(frame([(1, 1), (1, 2)]), 1, 0)
    with pytest.raises(DataError, match="1 distinct values of item_id"):
        cold_items(frame([(1, 1), (2, 1)]), 0)


@pytest.mark.data
def test_movielens_holds_out_a_fifth_and_a_tenth(shared_data):
    data = pl.read_parquet(shared_data / "ml-100k" / "interactions.parquet")
    for n in SHOWN:
        split = cold_users(data, n, 0)
        assert (split.users.len(), split.too_short) == (189, 0)  # every user has 20 ratings
        assert split.shown.height == 189 * n
    assert cold_items(data, 0).items.len() == 168
