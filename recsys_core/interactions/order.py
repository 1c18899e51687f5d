"""The order of a user's ratings: by time, or by position where no time is known."""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import POSITION, TIMESTAMP

Times = npt.NDArray[np.float64]

ORDERS: Final = (TIMESTAMP, POSITION)
"""Columns that order the ratings of a user; the first one that says something does."""


def order_column(ratings: pl.DataFrame) -> str:
    """`timestamp`; `position` where there is one and no row has a time."""
    for name in ORDERS:
        if name in ratings.columns and ratings[name].null_count() < ratings.height:
            return name
    return TIMESTAMP


def order_of(ratings: pl.DataFrame, column: str | None = None) -> Times:
    """(n,) times or positions; NaN where a row has none.

    Args:
        ratings: a row each.
        column: that orders them; by default what `order_column` finds.
    """
    unknown = pl.repeat(None, ratings.height, dtype=pl.Int64, eager=True)
    found = ratings.get_column(column or order_column(ratings), default=unknown)
    return found.cast(pl.Float64).fill_null(float("nan")).to_numpy()
