"""Attributes of users as numbers: what is near is alike, what tells nothing counts for nothing."""

import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.columns import USER
from recsys_core.embedding.user_features import (
    MAX_CATEGORIES,
    MIN_USERS,
    RANK_DIMENSIONS,
    user_attribute_features,
)


def users(**columns: object) -> pl.DataFrame:
    (first, *_) = columns.values()
    return pl.DataFrame({USER: range(len(first)), **columns}, strict=False)  # type: ignore[arg-type]


def test_amounts_that_are_near_are_alike() -> None:
    rows = user_attribute_features(users(age=[20, 22, 40, 60, 21]))
    assert rows.shape == (5, RANK_DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    to_first = rows @ rows[0]
    assert to_first.argsort()[::-1].tolist() == [0, 4, 1, 2, 3]


def test_a_place_is_a_gaussian_of_the_rank() -> None:
    rows = user_attribute_features(users(age=[30, 10, 20]))
    # The middle one of three stands at half the ranks: in the middle of the places.
    middle = np.array(
        [math.exp(-((n - (RANK_DIMENSIONS - 1) / 2) ** 2) / 2) for n in range(RANK_DIMENSIONS)]
    )
    np.testing.assert_allclose(rows[2], middle / np.linalg.norm(middle), rtol=1e-6)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=30))
def test_neither_the_scale_nor_outliers_matter(ages: list[int]) -> None:
    one = user_attribute_features(users(age=ages))
    other = user_attribute_features(users(age=[float(math.exp(age)) for age in ages]))
    assert np.array_equal(one, other)


def test_what_is_missing_is_zero_and_changes_nobody_else() -> None:
    whole = user_attribute_features(users(age=[20.0, 30.0, 40.0]))
    rows = user_attribute_features(users(age=[20.0, None, 30.0, float("nan"), 40.0]))
    assert not rows[[1, 3]].any()
    assert np.array_equal(rows[[0, 2, 4]], whole)


def test_a_category_of_enough_users_has_a_direction() -> None:
    plans = ["free"] * (MIN_USERS + 1) + ["paid"] * MIN_USERS + ["rare"] + [None]
    rows = user_attribute_features(users(plan=plans))
    assert rows.shape == (len(plans), 2)
    size = rows.max()
    assert 0 < size < 1
    assert (rows[: MIN_USERS + 1] == [size, 0]).all()
    assert (rows[MIN_USERS + 1 : -2] == [0, size]).all()
    assert not rows[-2:].any()


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["free", "paid"])])
def test_categories_may_be_of_any_type_of_names(kind: pl.DataType) -> None:
    plans = ["free", "paid"] * MIN_USERS
    named = users(plan=plans)
    assert np.array_equal(
        user_attribute_features(named.with_columns(pl.col("plan").cast(kind))),
        user_attribute_features(named),
    )


def test_truth_and_dates_are_attributes_too() -> None:
    since = [date(2020, 1, day + 1) for day in range(2 * MIN_USERS)]
    paid = [day % 2 == 0 for day in range(2 * MIN_USERS)]
    assert user_attribute_features(users(since=since, paid=paid)).shape == (20, RANK_DIMENSIONS + 2)


@pytest.mark.parametrize(
    "column",
    [
        [f"user{n}@example.org" for n in range(30)],  # names tell users apart
        ["everybody"] * 30,
        [None] * 30,
        [4] * 30,
        [4, None] * 15,
        [[n] for n in range(30)],
    ],
)
def test_what_tells_nothing_has_no_direction(column: list[object]) -> None:
    rows = user_attribute_features(users(column=column))
    assert rows.shape == (30, 0)
    assert rows.dtype == np.float32


def test_ids_are_no_attribute_and_a_table_of_ids_has_none() -> None:
    assert user_attribute_features(pl.DataFrame({USER: [1, 2, 3]})).shape == (3, 0)


def test_categories_are_bounded() -> None:
    cities = [f"city {n}" for n in range(MAX_CATEGORIES + 5) for _ in range(MIN_USERS)]
    assert user_attribute_features(users(city=cities)).shape == (len(cities), MAX_CATEGORIES)
