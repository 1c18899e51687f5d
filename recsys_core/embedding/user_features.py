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
    others = users.drop(USER, strict=False)
    numbers = others.select(columns.numeric() | columns.temporal())
    names = columns.string() | columns.categorical() | columns.enum()
    categories = others.select(names | columns.boolean())
    parts = [_rank_features(one) for one in numbers] + [_one_hot(one) for one in categories]
    return np.hstack([np.zeros((users.height, 0), np.float32), *parts])


def _rank_features(numbers: pl.Series) -> Floats:
    """(n, `RANK_DIMENSIONS`) rows of length 1, or 0 where there is no amount."""
    values = numbers.to_physical().cast(pl.Float64).fill_nan(None)
    if values.n_unique() - bool(values.null_count()) < 2:
        return np.zeros((len(values), 0), np.float32)
    known = len(values) - values.null_count()
    shares = ((values.rank() - 0.5) / known).fill_null(0.0).to_numpy()
    rows = gaussian_basis(shares * (RANK_DIMENSIONS - 1), RANK_DIMENSIONS)
    rows[values.is_null().to_numpy()] = 0
    found: Floats = rows.astype(np.float32)
    return found


def _one_hot(values: pl.Series) -> Floats:
    """(n, categories that count)."""
    named = values.cast(pl.String).rename("value")
    counts = named.drop_nulls().value_counts().sort("count", "value", descending=[True, False])
    enough = counts.filter(pl.col("count").is_between(MIN_USERS, len(values) - 1))
    kept = enough["value"].head(MAX_CATEGORIES).to_list()
    rows = [(named == one).fill_null(value=False).to_numpy() for one in kept]
    found: Floats = _CATEGORY_WEIGHT * np.array(rows, np.float32).reshape(len(kept), len(values)).T
    return found
