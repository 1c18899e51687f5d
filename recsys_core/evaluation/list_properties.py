"""Metrics beyond accuracy: what lists look like, whether or not the user would agree.

They need no ratings of the test split. `metric_table` names each and says where it is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from recsys_core.columns import INDEX, ITEM, RANK, USER, VALUE, VECTOR
from recsys_core.evaluation.metrics import Floats, Ints

COVERAGE: Final = "coverage"
GINI: Final = "gini"
NOVELTY: Final = "novelty"
DIVERSITY: Final = "diversity"
_ABSENT: Final = -1
_USERS_AT_ONCE: Final = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Lists:
    """What the metrics of this module are computed from; see `lists_of`.

    Attributes:
        listed: (n_users, width) row of each ranked item in `items`; -1 past the end of a list.
        items: ids of all items of the data set.
        train: training interactions.
        vectors: item id and vector; None where there are none.
        cutoffs: the k, at most the width.
    """

    listed: Ints
    items: pl.Series
    train: pl.DataFrame
    vectors: pl.DataFrame | None
    cutoffs: tuple[int, ...]

    @cached_property
    def at(self) -> Ints:
        """Columns of the cut-offs."""
        return np.asarray(self.cutoffs) - 1

    @cached_property
    def exposure(self) -> Ints:
        """How many of the lists have the item in their top k, (n_items, n_cutoffs)."""
        n_items = self.items.len()
        tops = [self.listed[:, :k] for k in self.cutoffs]
        counts = [np.bincount(top[top != _ABSENT], minlength=n_items) for top in tops]
        return np.stack(counts, axis=1)


def lists_of(
    ranking: pl.DataFrame,
    train: pl.DataFrame,
    items: pl.Series,
    cutoffs: Sequence[int],
    vectors: pl.DataFrame | None = None,
) -> Lists:
    """Checked lists (user, item, rank) as rows of item numbers; see `Lists`."""
    width = max(cutoffs)
    known = pl.DataFrame({ITEM: items}).with_row_index(INDEX)
    top = ranking.filter(pl.col(RANK) <= width).join(known, on=ITEM, how="inner")
    user = top[USER].rank("dense").cast(pl.Int64).to_numpy() - 1
    listed = np.full((top[USER].n_unique(), width), _ABSENT, dtype=np.int64)
    listed[user, top[RANK].to_numpy() - 1] = top[INDEX].to_numpy()
    return Lists(listed=listed, items=items, train=train, vectors=vectors, cutoffs=tuple(cutoffs))


def coverage(lists: Lists) -> Floats:
    """Share of all items that are in somebody's top k, (n_cutoffs,)."""
    share: Floats = (lists.exposure > 0).mean(axis=0)
    return share


def gini(lists: Lists) -> Floats:
    """Inequality of the items' shares of all recommendations: 0 equal .. 1 one item only."""
    ordered = np.sort(lists.exposure, axis=0)
    n = ordered.shape[0]
    signs = 2 * np.arange(1, n + 1) - n - 1
    found: Floats = (signs @ ordered) / (n * np.maximum(ordered.sum(axis=0), 1))
    return found


def novelty(lists: Lists) -> Floats:
    """Mean of -log2(share of training users that know the item), bits, (n_users, n_cutoffs).

    Vargas and Castells (2011); an item that nobody knows counts as known by one user.
    """
    known_by = lists.train.group_by(ITEM).agg(pl.col(USER).n_unique().alias(VALUE))
    counts = pl.DataFrame({ITEM: lists.items}).join(
        known_by, on=ITEM, how="left", maintain_order="left"
    )
    users = max(lists.train[USER].n_unique(), 1)
    surprise = -np.log2(np.maximum(counts[VALUE].fill_null(0).to_numpy(), 1) / users)
    there = lists.listed != _ABSENT
    total = np.cumsum(np.where(there, surprise[lists.listed], 0.0), axis=1)
    return _quotient(total, there.cumsum(axis=1))[:, lists.at]


def diversity(lists: Lists) -> Floats:
    """Intra-list diversity: mean of 1 - cosine over the pairs of a list (Ziegler et al. 2005).

    (n_users, n_cutoffs). The sum over pairs needs no pairs: |sum of n unit vectors|^2 = n + 2 *
    sum of their cosines. Items without a vector are left out of the pairs.
    """
    if lists.vectors is None:
        raise ValueError("diversity needs the vectors of the items")
    matrix, listed = _matrix(lists.vectors, lists.items), lists.listed
    parts = [
        _diversity_of(listed[start : start + _USERS_AT_ONCE], matrix)
        for start in range(0, listed.shape[0], _USERS_AT_ONCE)
    ]
    whole = np.concatenate(parts) if parts else np.empty(listed.shape)
    return whole[:, lists.at]


def _matrix(vectors: pl.DataFrame, items: pl.Series) -> Floats:
    """Unit vectors in the order of `items`, (n_items, d); zero where there is none."""
    dimensions = vectors.schema[VECTOR].shape[0]  # type: ignore[attr-defined]
    table = pl.DataFrame({ITEM: items}).with_row_index(INDEX).join(vectors, on=ITEM)
    matrix = np.zeros((items.len(), dimensions))
    matrix[table[INDEX].to_numpy()] = table[VECTOR].to_numpy()
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: Floats = np.divide(matrix, length, out=np.zeros_like(matrix), where=length > 0)
    return unit


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
