"""What the graph model sees of a user who has rated nothing: age, country, plan and the like.

A table of users has columns of its own. Amounts become places on a line of ranks, so that users of
nearly the same age are nearly the same, whatever the scale and its outliers; categories become a
direction each. A column of another type, such as lists, is left out, and so is a category of few:
names and addresses tell users apart, not what they have in common.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from polars import selectors as columns

from recsys_core.columns import USER
from recsys_core.embedding.item_features import gaussian_places

Floats = npt.NDArray[np.float32]

PLACES: Final = 9
"""Directions of an amount: Gaussians at as many places between the lowest and the highest rank."""
SHARED_BY: Final = 10
"""Users that a category must have to count."""
CATEGORIES: Final = 64
"""Categories of a column at most, the most frequent ones."""
_CATEGORY: Final = 0.25
"""Length of a category beside an amount, which has 1: at 1 those of MovieLens cost what they
gained on held-out ratings."""


def attribute_vectors(users: pl.DataFrame) -> Floats:
    """The columns of a table of users as numbers: (n_users, d), in the order of the table.

    A missing value is a zero in every direction of its column; d is 0 without a column that counts.
    """
    others = users.drop(USER, strict=False)
    amounts = others.select(columns.numeric() | columns.temporal())
    names = columns.string() | columns.categorical() | columns.enum()
    categories = others.select(names | columns.boolean())
    parts = [_places(one) for one in amounts] + [_categories(one) for one in categories]
    return np.hstack([np.zeros((users.height, 0), np.float32), *parts])


def _places(amounts: pl.Series) -> Floats:
    """(n, `PLACES`) rows of length 1, or 0 where there is no amount."""
    values = amounts.to_physical().cast(pl.Float64).fill_nan(None)
    if values.n_unique() - bool(values.null_count()) < 2:
        return np.zeros((len(values), 0), np.float32)
    known = len(values) - values.null_count()
    shares = ((values.rank() - 0.5) / known).fill_null(0.0).to_numpy()
    rows = gaussian_places(shares * (PLACES - 1), PLACES)
    rows[values.is_null().to_numpy()] = 0
    found: Floats = rows.astype(np.float32)
    return found


def _categories(values: pl.Series) -> Floats:
    """(n, categories that count)."""
    named = values.cast(pl.String).rename("value")
    counts = named.drop_nulls().value_counts().sort("count", "value", descending=[True, False])
    enough = counts.filter(pl.col("count").is_between(SHARED_BY, len(values) - 1))
    kept = enough["value"].head(CATEGORIES).to_list()
    rows = [(named == one).fill_null(value=False).to_numpy() for one in kept]
    found: Floats = _CATEGORY * np.array(rows, np.float32).reshape(len(kept), len(values)).T
    return found
