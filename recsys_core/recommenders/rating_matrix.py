"""The user-item matrix of rating weights, and top-k lists from matrices of scores."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from recsys_core.columns import CANDIDATES, INDEX, ITEM, RANK, RATING, SCORE, USER, VALUE
from recsys_core.interactions.feedback import RatingScale

Scores = npt.NDArray[np.floating]
Rows = npt.NDArray[np.int64]
_NEUTRAL: Final = 0.5


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
    matrix: sparse.csr_matrix

    def rows(self, users: pl.Series) -> Rows:
        """Matrix rows of these users, (n,); unknown users get the empty last row."""
        found = pl.DataFrame({USER: users}).join(
            self.users, on=USER, how="left", maintain_order="left"
        )
        return found[INDEX].fill_null(self.users.height).cast(pl.Int64).to_numpy()

    def with_strangers(self, users: pl.Series) -> "Weights":
        """The same with empty rows for `users`, of whom none has a row, behind the others."""
        first, new = self.users.height, users.len()
        rows = pl.DataFrame({USER: users}).with_row_index(INDEX, offset=first)
        empty = sparse.csr_matrix((new, self.matrix.shape[1]))
        return replace(
            self,
            users=pl.concat([self.users, rows.select(self.users.columns).cast(self.users.schema)]),
            matrix=sparse.vstack([self.matrix, empty], format="csr"),
        )

    def pairs(self, users: pl.Series, interactions: pl.DataFrame) -> sparse.csr_matrix:
        """Which of the interactions belong to these users, (n, n_items) of bool."""
        rows = pl.DataFrame({USER: users}).with_row_index(VALUE)
        table = interactions.select(USER, ITEM).unique().join(rows, on=USER)
        table = table.join(self.items, on=ITEM)
        at = table[VALUE].to_numpy(), table[INDEX].to_numpy()
        shape = (users.len(), self.items.height)
        return sparse.csr_matrix((np.ones(table.height, dtype=np.bool_), at), shape=shape)

    def liked(self) -> sparse.csr_matrix:
        """The matrix with its liked entries only."""
        return self.matrix.multiply(self.matrix >= 1.0).tocsr()

    def columns_outside(self, among: pl.Series | None) -> Rows:
        """Columns of the items that are not in `among`; none where `among` is None."""
        if among is None:
            return np.empty(0, dtype=np.int64)
        outside = ~self.items[ITEM].is_in(among.unique().implode())
        return np.flatnonzero(outside.to_numpy())


def rating_weight(config: RatingScale) -> pl.Expr:
    """Weight of a rating: liked 1, neutral 0.5, disliked 0."""
    rating = pl.col(RATING).cast(pl.Float32)
    liked, disliked = (pl.lit(v, pl.Float32) for v in (config.like_from, config.dislike_from))
    neutral = pl.when(rating <= disliked).then(0.0).otherwise(_NEUTRAL)
    return pl.when(rating >= liked).then(1.0).otherwise(neutral)


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


def top_columns(scores: Scores, k: int) -> Rows:
    """Columns of the k best scores of each row, best first, (n, k); ties go to the first column.

    `numpy.argpartition` alone would break ties differently from one processor to the next.
    """
    k = min(k, scores.shape[1])
    if k < 1:
        return np.empty((scores.shape[0], 0), dtype=np.int64)
    limit = np.partition(scores, -k, axis=1)[:, -k, None]
    above, at_limit = scores > limit, scores == limit
    room = k - above.sum(axis=1, keepdims=True)
    chosen = above | (at_limit & (np.cumsum(at_limit, axis=1) <= room))
    columns = np.nonzero(chosen)[1].reshape(scores.shape[0], k)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def ranked(
    scores: Scores, seen: sparse.csr_matrix, k: int, *, barred: Rows
) -> tuple[Rows, Rows, Rows, Scores]:
    """Row, column, rank and score of the k best items of each row, neither seen nor barred."""
    masked = np.array(scores, copy=True)
    masked[seen.nonzero()] = -np.inf
    masked[:, barred] = -np.inf
    columns = top_columns(masked, k)
    best = np.take_along_axis(masked, columns, axis=1)
    row, place = np.nonzero(np.isfinite(best))
    return row, columns[row, place], place + 1, best[row, place]


def candidates(
    users: pl.Series, items: pl.Series, parts: list[tuple[Rows, Rows, Rows, Scores]]
) -> pl.DataFrame:
    """The ranked parts as `columns.CANDIDATES`; rows count through `users`, columns `items`."""
    row, column, rank, score = (
        [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        if parts
        else [np.empty(0, dtype=np.int64)] * 4
    )
    table = pl.DataFrame({USER: users.gather(row), ITEM: items.gather(column)})
    ranks = pl.Series(RANK, rank, dtype=CANDIDATES[RANK])
    return table.with_columns(ranks, pl.Series(SCORE, score).cast(pl.Float32))
