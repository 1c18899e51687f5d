"""User features from the columns of the users table (age, country, plan) for cold-start users.

Numbers and dates become ranks in a Gaussian radial basis, so that users of nearly the same age are
nearly the same whatever the scale and its outliers; categories are one-hot encoded. Columns of
other types, such as lists, are left out, and so are rare categories: names and addresses tell users
apart, not what they have in common.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from polars import selectors as columns

from recsys_core.columns import USER
from recsys_core.embedding.item_features import gaussian_basis

Floats = npt.NDArray[np.float32]

RANK_DIMENSIONS: Final = 9
"""Basis functions of a numeric column, with centres between the lowest and the highest rank."""
MIN_USERS: Final = 10
"""Least number of users of a category."""
MAX_CATEGORIES: Final = 64
"""Categories of a column at most, the most frequent ones."""
_CATEGORY_WEIGHT: Final = 0.25
"""Length of a category's one-hot vector; that of a number is 1. At 1 the categories of MovieLens
cost what they gained on held-out ratings."""


def user_attribute_features(users: pl.DataFrame) -> Floats:
    """The columns of a table of users as features: (n_users, d), in the order of the table.

    A missing value is zero in all dimensions of its column; d is 0 without a usable column.
    """
    return attribute_features(users, users)


def attribute_features(known: pl.DataFrame, users: pl.DataFrame) -> Floats:
    """Features (n, d) of `users` in the dimensions that the table `known` has.

    Args:
        known: the users that the dimensions are made of.
        users: has the columns of `known`, in the same types; other users are placed among them: a
            number by its rank there, a category that does not count there is zero.
    """
    others = known.drop(USER, strict=False)
    numbers = others.select(columns.numeric() | columns.temporal())
    names = columns.string() | columns.categorical() | columns.enum()
    categories = others.select(names | columns.boolean())
    parts = [_rank_features(one, users[one.name]) for one in numbers]
    parts += [_one_hot(one, users[one.name]) for one in categories]
    return np.hstack([np.zeros((users.height, 0), np.float32), *parts])


def _rank_features(known: pl.Series, numbers: pl.Series) -> Floats:
    """(n, `RANK_DIMENSIONS`) rows of length 1, or 0 where there is no amount."""
    values = _amounts(known).drop_nulls()
    if values.n_unique() < 2:
        return np.zeros((len(numbers), 0), np.float32)
    ranks = pl.DataFrame({"value": values, "rank": values.rank()}).unique("value").sort("value")
    shares = (ranks["rank"].to_numpy() - 0.5) / len(values)
    wanted = _amounts(numbers)
    places = np.interp(wanted.fill_null(0.0).to_numpy(), ranks["value"].to_numpy(), shares)
    rows = gaussian_basis(places * (RANK_DIMENSIONS - 1), RANK_DIMENSIONS)
    rows[wanted.is_null().to_numpy()] = 0
    found: Floats = rows.astype(np.float32)
    return found


def _amounts(numbers: pl.Series) -> pl.Series:
    return numbers.to_physical().cast(pl.Float64).fill_nan(None)


def _one_hot(known: pl.Series, values: pl.Series) -> Floats:
    """(n, categories that count)."""
    named = known.cast(pl.String).rename("value")
    counts = named.drop_nulls().value_counts().sort("count", "value", descending=[True, False])
    enough = counts.filter(pl.col("count").is_between(MIN_USERS, len(known) - 1))
    kept = enough["value"].head(MAX_CATEGORIES).to_list()
    wanted = values.cast(pl.String)
    rows = [(wanted == one).fill_null(value=False).to_numpy() for one in kept]
    found: Floats = _CATEGORY_WEIGHT * np.array(rows, np.float32).reshape(len(kept), len(values)).T
    return found
