"""Ranked lists, also from elsewhere: validated, then turned into matrices of hits."""

from typing import Final

import numpy as np
import polars as pl

from recsys_core.columns import INDEX, ITEM, RANK, RANKING, RATING, SCORE, USER, check
from recsys_core.errors import DataError
from recsys_core.evaluation.metrics import Bools
from recsys_core.interactions.feedback import is_liked

_SHOWN: Final = 5


def checked_ranking(
    ranking: pl.DataFrame, train: pl.DataFrame, test: pl.DataFrame, items: pl.Series | None
) -> pl.DataFrame:
    """The ranking (user, item, rank) with the id types of the data, or an error that says why not.

    Args:
        ranking: user, item and rank (1 is best, without gaps); further columns are ignored.
        train: interactions whose users and items are known.
        test: the same.
        items: every item of the data set. Where given, any other item is an error; where not, an
            item without interactions may be in a list (it cannot be relevant).

    Raises:
        DataError: wrong columns or types, null ids, an item twice in one list, ranks that are
            not 1, 2, 3, ..., users or items that the data do not know.
    """
    ranking = check(_with_plain_ranks(ranking), RANKING, table="ranking").select(*RANKING)
    _no_nulls(ranking)
    for column in (USER, ITEM):
        ranking = _with_ids_of(ranking, test, column)
    _no_duplicates(ranking)
    _ranks_without_gaps(ranking)
    _known(ranking, USER, pl.concat([train[USER], test[USER]]))
    if items is not None:
        _known(ranking, ITEM, pl.concat([s.cast(test.schema[ITEM]) for s in (items, test[ITEM])]))
    return ranking


def ranked_by_score(ranking: pl.DataFrame) -> pl.DataFrame:
    """Add the rank column to a list that has only scores: higher is better, ties by item id.

    Raises:
        DataError: a score is null or not a number.
    """
    scores = ranking[SCORE]
    if (
        not scores.dtype.is_numeric()
        or scores.cast(pl.Float64).is_finite().fill_null(False).not_().any()
    ):
        raise DataError(
            f"Column {SCORE!r} has type {scores.dtype}, or holds values that are not finite.",
            expected="a finite number for every row, as there is no column 'rank'.",
            fix="give ranks, or drop the rows without a score.",
        )
    order = ranking.sort(USER, SCORE, ITEM, descending=[False, True, False])
    return order.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(USER).alias(RANK))


def hit_matrices(
    ranking: pl.DataFrame, users: pl.Series, test: pl.DataFrame, like_from: float, width: int
) -> tuple[Bools, Bools]:
    """Which ranked items are relevant, and which are rated at all, in test.

    Args:
        ranking: checked lists; ranks beyond `width` are ignored.
        users: the users of the rows, in order.
        test: test interactions with ratings.
        like_from: lowest rating that counts as relevant.
        width: columns of the matrices.

    Returns:
        relevant and rated, each (n_users, width).
    """
    rows = pl.DataFrame({USER: users}).with_row_index(INDEX)
    found = (
        ranking.filter(pl.col(RANK) <= width)
        .join(test.select(USER, ITEM, RATING), on=[USER, ITEM])
        .join(rows, on=USER)
    )
    at = found[INDEX].to_numpy(), found[RANK].to_numpy() - 1
    relevant = np.zeros((users.len(), width), dtype=np.bool_)
    rated = np.zeros_like(relevant)
    relevant[at] = found.select(is_liked(like_from)).to_series().to_numpy()
    rated[at] = True
    return relevant, rated


def _with_plain_ranks(ranking: pl.DataFrame) -> pl.DataFrame:
    if RANK in ranking.columns and ranking.schema[RANK].is_integer():
        return ranking.with_columns(pl.col(RANK).cast(pl.Int32, strict=False))
    return ranking


def _no_nulls(ranking: pl.DataFrame) -> None:
    empty = {
        name: count for name, count in ranking.null_count().row(0, named=True).items() if count
    }
    if empty:
        raise DataError(
            f"ranking: empty values in {empty}.",
            expected="a user, an item and a rank in every row.",
            fix="drop or complete these rows.",
        )


def _with_ids_of(ranking: pl.DataFrame, data: pl.DataFrame, column: str) -> pl.DataFrame:
    here, there = ranking.schema[column], data.schema[column]
    if here.is_integer() != there.is_integer():
        raise DataError(
            f"ranking: {column} has type {here}, but {there} in the interactions.",
            expected="the same kind of ids (integer or string) in both files.",
            fix=f"write {column} of the ranking as {there}.",
        )
    return ranking.with_columns(pl.col(column).cast(there, strict=False))


def _no_duplicates(ranking: pl.DataFrame) -> None:
    twice = ranking.filter(pl.struct(USER, ITEM).is_duplicated())
    if twice.height:
        user, item, _ = twice.row(0)
        raise DataError(
            f"ranking: {twice.height} rows repeat an item of the same user's list"
            f" (user {user!r}, item {item!r}).",
            expected="an item at most once per list.",
            fix="keep each item's best rank and number the ranks anew.",
        )


def _ranks_without_gaps(ranking: pl.DataFrame) -> None:
    expected = pl.col(RANK).rank("ordinal").over(USER).cast(pl.Int32)
    wrong = ranking.filter(pl.col(RANK) != expected)
    if wrong.height:
        user = wrong[USER].min()
        ranks = ranking.filter(pl.col(USER) == user)[RANK].sort().head(_SHOWN).to_list()
        raise DataError(
            f"ranking: the ranks of {wrong[USER].n_unique()} lists have gaps, repeat or do not"
            f" start at 1 (user {user!r}: {ranks} ...).",
            expected="the ranks 1, 2, 3, ... of each user, 1 for the best item.",
            fix="number the items of each list from 1, or give a column 'score' instead.",
        )


def _known(ranking: pl.DataFrame, column: str, universe: pl.Series) -> None:
    unknown = ranking.filter(~pl.col(column).is_in(universe.unique().implode()))[column].unique()
    if unknown.len():
        raise DataError(
            f"ranking: {unknown.len()} values of {column} are not in the data"
            f" ({', '.join(map(repr, unknown.sort().head(_SHOWN)))}).",
            expected="ids of the interactions and items that the list is measured against.",
            fix="check that the list was made from the same data set, with its original ids.",
        )
