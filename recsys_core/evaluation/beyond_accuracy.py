"""Metrics beyond accuracy: what the lists look like, whether or not the user would agree.

They need no ratings, so they are the same under every protocol; the table files them under `full`.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    GENRES,
    INDEX,
    ITEM,
    METHOD,
    METRIC,
    METRICS,
    PROTOCOL,
    RANK,
    USER,
    USERS,
    VALUE,
    VECTOR,
    K,
)  # fmt: skip
from recsys_core.evaluation.metrics import Floats, Ints
from recsys_core.evaluation.significance import intervals, means

COVERAGE: Final = "coverage"
GINI: Final = "gini"
NOVELTY: Final = "novelty"
DIVERSITY: Final = "diversity"
_ABSENT: Final = -1
_USERS_AT_ONCE: Final = 256


def beyond_accuracy(
    ranking: pl.DataFrame,
    train: pl.DataFrame,
    items: pl.Series,
    *,
    method: str,
    cutoffs: Sequence[int],
    vectors: pl.DataFrame | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pl.DataFrame:
    """Coverage, Gini, novelty and, given item vectors, intra-list diversity of the lists.

    - coverage: share of all items that are in somebody's top k;
    - gini: inequality of the items' shares of all recommendations, 0 equal .. 1 one item only;
    - novelty: mean of -log2(share of training users that know the item), bits (Vargas and
      Castells 2011); an item that nobody knows counts as known by one user;
    - diversity: mean of 1 - cosine over the pairs of a list (Ziegler et al. 2005).

    Args:
        ranking: checked lists (user, item, rank) of the users to look at; items are all known.
        train: training interactions, for the popularity of items.
        items: ids of all items of the data set.
        method: name for the table.
        cutoffs: the k.
        vectors: item id and vector; items without one are left out of the pairs.
        bootstrap: resamples of users for novelty and diversity; the other two are properties of
            all lists together and get no interval.
        seed: seed of the resampling.

    Returns:
        `columns.METRICS`, protocol `full`.
    """
    listed = _item_rows(ranking, items, max(cutoffs))
    at = np.asarray(cutoffs) - 1
    exposure = np.stack([_exposure(listed[:, :k], items.len()) for k in cutoffs], axis=1)
    per_user = {NOVELTY: _novelty(listed, train, items)[:, at]}
    if vectors is not None:
        per_user[DIVERSITY] = _diversity(listed, _matrix(vectors, items))[:, at]
    whole = {COVERAGE: (exposure > 0).mean(axis=0), GINI: _gini(exposure)}
    rows = [
        _rows(name, cutoffs, value, np.full(len(cutoffs), listed.shape[0]))
        for name, value in whole.items()
    ]
    for name, values in per_user.items():
        value, counted = means(values)
        ends = intervals(values, resamples=bootstrap, seed=seed)
        rows.append(_rows(name, cutoffs, value, counted, *ends))
    table = pl.concat(rows).with_columns(
        pl.lit(method).alias(METHOD), pl.lit("full").alias(PROTOCOL)
    )
    return table.select(*METRICS)


def genre_vectors(items: pl.DataFrame) -> pl.DataFrame:
    """Genres as vectors (item id, vector of 0 and 1), for diversity without embeddings.

    Args:
        items: item id and a list of genres; items without genres are left out.
    """
    long = items.select(ITEM, GENRES).explode(GENRES, empty_as_null=True).drop_nulls()
    names = long[GENRES].unique().sort().to_list()
    flags = [
        (pl.col(GENRES) == name).any().cast(pl.Float32).alias(f"{i}")
        for i, name in enumerate(names)
    ]
    wide = long.group_by(ITEM, maintain_order=True).agg(flags)
    if not names:
        return wide.with_columns(pl.lit(None, pl.Array(pl.Float32, 1)).alias(VECTOR))
    packed = pl.concat_list(pl.exclude(ITEM)).list.to_array(len(names)).alias(VECTOR)
    return wide.select(ITEM, packed)


def _item_rows(ranking: pl.DataFrame, items: pl.Series, width: int) -> Ints:
    """Row of each ranked item in `items`, (n_users, width); -1 past the end of a list."""
    known = pl.DataFrame({ITEM: items}).with_row_index(INDEX)
    top = ranking.filter(pl.col(RANK) <= width).join(known, on=ITEM, how="inner")
    user = top[USER].rank("dense").cast(pl.Int64).to_numpy() - 1
    rows = np.full((top[USER].n_unique(), width), _ABSENT, dtype=np.int64)
    rows[user, top[RANK].to_numpy() - 1] = top[INDEX].to_numpy()
    return rows


def _exposure(listed: Ints, n_items: int) -> Ints:
    return np.bincount(listed[listed != _ABSENT], minlength=n_items)


def _gini(exposure: Ints) -> Floats:
    """Gini index of each column of (n_items, n_cutoffs) counts."""
    ordered = np.sort(exposure, axis=0)
    n = exposure.shape[0]
    signs = 2 * np.arange(1, n + 1) - n - 1
    gini: Floats = (signs @ ordered) / (n * np.maximum(ordered.sum(axis=0), 1))
    return gini


def _novelty(listed: Ints, train: pl.DataFrame, items: pl.Series) -> Floats:
    """Mean self-information of the first 1 .. width items, (n_users, width)."""
    known_by = train.group_by(ITEM).agg(pl.col(USER).n_unique().alias(VALUE))
    counts = pl.DataFrame({ITEM: items}).join(known_by, on=ITEM, how="left", maintain_order="left")
    users = max(train[USER].n_unique(), 1)
    surprise = -np.log2(np.maximum(counts[VALUE].fill_null(0).to_numpy(), 1) / users)
    there = listed != _ABSENT
    return _quotient(
        np.cumsum(np.where(there, surprise[listed], 0.0), axis=1), there.cumsum(axis=1)
    )


def _matrix(vectors: pl.DataFrame, items: pl.Series) -> Floats:
    """Unit vectors in the order of `items`, (n_items, d); zero where there is none."""
    dimensions = vectors.schema[VECTOR].shape[0]  # type: ignore[attr-defined]
    table = pl.DataFrame({ITEM: items}).with_row_index(INDEX).join(vectors, on=ITEM)
    matrix = np.zeros((items.len(), dimensions))
    matrix[table[INDEX].to_numpy()] = table[VECTOR].to_numpy()
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: Floats = np.divide(matrix, length, out=np.zeros_like(matrix), where=length > 0)
    return unit


def _diversity(listed: Ints, matrix: Floats) -> Floats:
    """Mean cosine distance of the pairs among the first 1 .. width items, (n_users, width).

    The sum over pairs needs no pairs: |sum of n unit vectors|^2 = n + 2 * sum of their cosines.
    """
    parts = [
        _diversity_of(listed[start : start + _USERS_AT_ONCE], matrix)
        for start in range(0, listed.shape[0], _USERS_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty(listed.shape)


def _diversity_of(listed: Ints, matrix: Floats) -> Floats:
    usable = (listed != _ABSENT) & (np.abs(matrix).sum(axis=1) > 0)[listed]
    total = np.cumsum(np.where(usable[:, :, None], matrix[listed], 0.0), axis=1)
    n = np.cumsum(usable, axis=1)
    cosines = np.square(total).sum(axis=2) - n
    return 1.0 - _quotient(cosines, n * (n - 1))


def _quotient(numerator: Floats, denominator: Ints) -> Floats:
    nan = np.full(numerator.shape, np.nan)
    quotient: Floats = np.divide(numerator, denominator, out=nan, where=denominator > 0)
    return quotient


def _rows(
    name: str,
    cutoffs: Sequence[int],
    value: Floats,
    users: Ints,
    low: Floats | None = None,
    high: Floats | None = None,
) -> pl.DataFrame:
    columns = {K: list(cutoffs), VALUE: value, CI_LOW: low, CI_HIGH: high, USERS: users}
    types = {column: METRICS[column] for column in columns}
    table = pl.DataFrame(columns).cast(types).fill_nan(None)  # type: ignore[arg-type]
    return table.with_columns(pl.lit(name).alias(METRIC))
