"""The user-item matrix of rating weights, and top-k lists from matrices of scores."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import INDEX, ITEM, RANK, USER, VALUE
from recsys_core.interactions.feedback import RatingScale, rating_weight
from recsys_core.interactions.topk import top_columns

if TYPE_CHECKING:  # loaded when a recommender learns: commands name the methods without it
    from scipy import sparse

Scores = npt.NDArray[np.floating]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """Training interactions as a matrix.

    Attributes:
        users: user ids and their rows.
        items: item ids and their columns, the most popular first (then by id): where scores are
            equal the first column wins, so ties go to popular items, the same on every machine.
        matrix: (n_users + 1, n_items) float64; the last row is empty: a user nobody knows.
    """

    users: pl.DataFrame
    items: pl.DataFrame
    matrix: "sparse.csr_matrix"

    def rows(self, users: pl.Series) -> Rows:
        """Matrix rows of these users, (n,); unknown users get the empty last row."""
        found = pl.DataFrame({USER: users}).join(
            self.users, on=USER, how="left", maintain_order="left"
        )
        return found[INDEX].fill_null(self.users.height).cast(pl.Int64).to_numpy()

    def with_strangers(self, users: pl.Series) -> "Weights":
        """The same with empty rows for `users`, of whom none has a row, behind the others."""
        from scipy import sparse

        first, new = self.users.height, users.len()
        rows = pl.DataFrame({USER: users}).with_row_index(INDEX, offset=first)
        empty = sparse.csr_matrix((new, self.matrix.shape[1]))
        return replace(
            self,
            users=pl.concat([self.users, rows.select(self.users.columns).cast(self.users.schema)]),
            matrix=sparse.vstack([self.matrix, empty], format="csr"),
        )

    def pairs(self, users: pl.Series, interactions: pl.DataFrame) -> "sparse.csr_matrix":
        """Which of the interactions belong to these users, (n, n_items) of bool."""
        from scipy import sparse

        rows = pl.DataFrame({USER: users}).with_row_index(VALUE)
        table = interactions.select(USER, ITEM).unique().join(rows, on=USER)
        table = table.join(self.items, on=ITEM)
        at = table[VALUE].to_numpy(), table[INDEX].to_numpy()
        shape = (users.len(), self.items.height)
        return sparse.csr_matrix((np.ones(table.height, dtype=np.bool_), at), shape=shape)

    def liked(self) -> "sparse.csr_matrix":
        """The matrix with its liked entries only."""
        return self.matrix.multiply(self.matrix >= 1.0).tocsr()

    def columns_outside(self, among: pl.Series | None) -> Rows:
        """Columns of the items that are not in `among`; none where `among` is None."""
        if among is None:
            return np.empty(0, dtype=np.int64)
        outside = ~self.items[ITEM].is_in(among.unique().implode())
        return np.flatnonzero(outside.to_numpy())


def weigh(train: pl.DataFrame, items: pl.Series, config: RatingScale) -> Weights:
    """Training interactions as weights.

    Args:
        train: `columns.INTERACTIONS`.
        items: ids of all items of the data set.
        config: gives the thresholds of liked and disliked.
    """
    weighted = train.select(USER, ITEM, rating_weight(config).alias(VALUE))
    return _filled(weighted, _by_popularity(weighted, items))


def with_users_of(shown: pl.DataFrame, weights: Weights, config: RatingScale) -> Weights:
    """The same items with other users: what `shown` holds of unknown items is left out.

    Args:
        shown: `columns.INTERACTIONS` of the new users.
        weights: gives the items and their columns.
        config: gives the thresholds of liked and disliked.
    """
    return _filled(shown.select(USER, ITEM, rating_weight(config).alias(VALUE)), weights.items)


def _filled(weighted: pl.DataFrame, columns: pl.DataFrame) -> Weights:
    from scipy import sparse

    users = pl.DataFrame({USER: weighted[USER].unique().sort()}).with_row_index(INDEX)
    table = weighted.filter(pl.col(VALUE) > 0).join(users, on=USER).rename({INDEX: RANK})
    table = table.join(columns, on=ITEM)
    at = table[RANK].to_numpy(), table[INDEX].to_numpy()
    shape = (users.height + 1, columns.height)
    matrix = sparse.csr_matrix((table[VALUE].to_numpy(), at), shape=shape, dtype=np.float64)
    # One order of the entries, whatever the order of the file: sums round alike.
    matrix.sort_indices()
    return Weights(users=users, items=columns, matrix=matrix)


def _by_popularity(weighted: pl.DataFrame, items: pl.Series) -> pl.DataFrame:
    total = weighted.group_by(ITEM).agg(pl.col(VALUE).sum())
    known = pl.DataFrame({ITEM: items}).unique().join(total, on=ITEM, how="left")
    known = known.with_columns(pl.col(VALUE).fill_null(0.0))
    return known.sort(VALUE, ITEM, descending=[True, False]).select(ITEM).with_row_index(INDEX)


def ranked(
    scores: Scores, seen: "sparse.csr_matrix", k: int, *, barred: Rows
) -> tuple[Rows, Scores]:
    """Columns and scores (n, k) of the best items of each row, neither seen nor barred.

    Where fewer than k are left, the rest of a row is -1.
    """
    masked = np.array(scores, copy=True)
    masked[seen.nonzero()] = -np.inf
    masked[:, barred] = -np.inf
    columns = top_columns(masked, k)
    best = np.take_along_axis(masked, columns, axis=1)
    return np.where(np.isfinite(best), columns, -1), best
