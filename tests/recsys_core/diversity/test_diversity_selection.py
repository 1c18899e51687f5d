"""Greedy selection by hand, and what holds for every list."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.columns import ITEM, RANK, SCORE, USER
from recsys_core.diversity.selection import (
    SMOOTHING,
    Pools,
    calibrated,
    divergence,
    mmr,
    pools_of,
    reordered,
)


def lists_of(lengths: list[int]) -> pl.DataFrame:
    rows = [
        (user, 100 + (user * 7 + rank) % 40, rank, -float(rank))
        for user, length in enumerate(lengths) for rank in range(1, length + 1)
    ]  # fmt: skip
    schema = {USER: pl.Int64, ITEM: pl.Int64, RANK: pl.Int32, SCORE: pl.Float32}
    return pl.DataFrame(rows, schema=schema, orient="row")


ITEMS = pl.Series(ITEM, range(100, 140))
RNG = np.random.default_rng(0)
GENRES = np.eye(4)[RNG.integers(4, size=40)]
ONE = Pools(
    items=np.array([[0, 1, 2]]), there=np.ones((1, 3), bool), relevance=np.array([[1.0, 0.9, 0.0]])
)


def test_mmr_by_hand() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # After the first: 0.5 x 0.9 - 0.5 x 1 = -0.05 against 0.5 x 0 - 0.5 x 0 = 0.
    assert mmr(ONE, vectors, weight=0.5, length=2).tolist() == [[0, 2]]
    # 0.6 x 0.9 - 0.4 x 1 = 0.14 against 0.
    assert mmr(ONE, vectors, weight=0.4, length=2).tolist() == [[0, 1]]


def test_calibration_by_hand() -> None:
    genres = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    half = np.array([[0.5, 0.5]])
    assert calibrated(ONE, genres, half, weight=0.9, length=2).tolist() == [[0, 2]]
    assert calibrated(ONE, genres, half, weight=0.0, length=2).tolist() == [[0, 1]]
    nothing = np.zeros((1, 2))
    assert calibrated(ONE, genres, nothing, weight=0.9, length=3).tolist() == [[0, 1, 2]]


def test_divergence_by_hand() -> None:
    target, shares = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    one, other = (1 - SMOOTHING) + SMOOTHING / 2, SMOOTHING / 2
    expected = 0.5 * math.log(0.5 / one) + 0.5 * math.log(0.5 / other)
    assert divergence(target, shares) == pytest.approx(expected)
    assert divergence(target, target) == pytest.approx(0.0)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 15), st.integers(1, 30),
       st.floats(0, 1))  # fmt: skip
def test_lists_stay_whole_and_what_is_not_chosen_keeps_its_order(
    lengths: list[int], length: int, width: int, weight: float
) -> None:
    lists = lists_of(lengths)
    pools = pools_of(lists, ITEMS, width)
    wanted = np.full((len(lengths), 4), 0.25)
    for order in (
        mmr(pools, GENRES, weight=weight, length=length),
        calibrated(pools, GENRES, wanted, weight=weight, length=length),
    ):
        after = reordered(lists, order)
        assert (
            after.sort(USER, ITEM)
            .select(USER, ITEM, SCORE)
            .equals(lists.sort(USER, ITEM).select(USER, ITEM, SCORE))
        )
        for (user,), own in after.group_by(USER):
            assert own[RANK].to_list() == list(range(1, lengths[int(str(user))] + 1))
            top = own.head(length)
            assert set(top[SCORE]) <= {-float(rank) for rank in range(1, max(width, length) + 1)}
            assert own.tail(-length)[SCORE].is_sorted(descending=True)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 15))
def test_weight_zero_changes_nothing(lengths: list[int], length: int) -> None:
    lists = lists_of(lengths)
    order = mmr(pools_of(lists, ITEMS, 30), GENRES, weight=0.0, length=length)
    assert reordered(lists, order).equals(lists.sort(USER, RANK))


def test_equal_scores_keep_the_lists_order() -> None:
    lists = lists_of([5]).with_columns(pl.lit(1.0).cast(pl.Float32).alias(SCORE))
    order = mmr(pools_of(lists, ITEMS, 5), np.ones((40, 1)), weight=0.3, length=3)
    assert order.tolist() == [[0, 1, 2]]
