"""Greedy selection of the first places of every list: MMR and calibrated recommendations.

Both take one title after the other, each the best by (1 - weight) x relevance + weight x variety,
for all users at once. Relevance is a list's score, linearly from 1 for its first title to 0 for
the last of the pool.

- MMR (maximal marginal relevance, Carbonell and Goldstein 1998): variety is minus the cosine with
  the titles so far, their mean as in intra-list diversity (the largest one, as in the first paper,
  buys less of it for the same accuracy).
- Calibration (Steck 2018): variety is minus the Kullback-Leibler divergence of the genre shares
  of the titles so far from those of the user's history.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from recsys_core.columns import INDEX, ITEM, RANK, SCORE, USER
from recsys_core.evaluation.metrics import Bools, Floats, Ints

SMOOTHING: Final = 0.01
"""Share of the history's genres that is mixed into the list's, so that a missing genre costs
finitely much (Steck's alpha)."""
_USERS_AT_ONCE: Final = 128


@dataclass(frozen=True, kw_only=True)
class Pools:
    """The first titles of every list.

    Attributes:
        items: rows in the table of items, `(n_users, width)`; 0 past the end of a list.
        there: False past the end of a list.
        relevance: from 1 to 0 per user.
    """

    items: Ints
    there: Bools
    relevance: Floats


def pools_of(lists: pl.DataFrame, items: pl.Series, width: int) -> Pools:
    """The first `width` titles of every list, users in rising order.

    Args:
        lists: USER, ITEM, RANK and SCORE.
        items: ids of all items.
        width: most titles of a pool.
    """
    rows = (
        lists.filter(pl.col(RANK) <= width)
        .join(pl.DataFrame({ITEM: items}).with_row_index(INDEX), on=ITEM)
        .sort(USER, RANK)
    )
    user = rows[USER].rank("dense").cast(pl.Int64).to_numpy() - 1
    place = rows[RANK].to_numpy() - 1
    shape = (rows[USER].n_unique(), width)
    found, there, scores = np.zeros(shape, np.int64), np.zeros(shape, np.bool_), np.zeros(shape)
    found[user, place], there[user, place] = rows[INDEX].to_numpy(), True
    scores[user, place] = rows[SCORE].to_numpy()
    low = np.where(there, scores, np.inf).min(axis=1, initial=np.inf)[:, None]
    high = np.where(there, scores, -np.inf).max(axis=1, initial=-np.inf)[:, None]
    spread = np.maximum(high - low, 1e-12)
    relevance = np.where(there, (scores - np.where(there, low, 0.0)) / spread, 0.0)
    return Pools(items=found, there=there, relevance=relevance)


def mmr(pools: Pools, vectors: Floats, *, weight: float, length: int) -> Ints:
    """Places in the pool in the order chosen by MMR, `(n_users, length)`; -1 past the end.

    Args:
        pools: of `pools_of`.
        vectors: `(n_items, d)`, of length one (zero for an item without one).
        weight: of the variety.
        length: places to choose.
    """

    def select(part: slice) -> Ints:
        own = vectors[pools.items[part]]
        total = np.zeros((own.shape[0], own.shape[2]))
        chosen = _Chosen(pools, part, length)
        for count in range(chosen.length):
            alike = np.einsum("upd,ud->up", own, total) / max(count, 1)
            picked = chosen.take((1 - weight) * pools.relevance[part] - weight * alike)
            total += own[np.arange(own.shape[0]), picked]
        return chosen.order

    return _in_parts(pools, select, length)


def calibrated(pools: Pools, genres: Floats, wanted: Floats, *, weight: float, length: int) -> Ints:
    """Places in the pool in the order chosen by calibration, `(n_users, length)`.

    Args:
        pools: of `pools_of`.
        genres: `(n_items, n_genres)`, each row the item's genre shares.
        wanted: `(n_users, n_genres)`, the shares in the user's history; a row of zeros asks for
            nothing.
        weight: of the calibration.
        length: places to choose.
    """

    def select(part: slice) -> Ints:
        own, target = genres[pools.items[part]], wanted[part]
        sums = np.zeros_like(target)
        chosen = _Chosen(pools, part, length)
        for count in range(1, chosen.length + 1):
            shares = (sums[:, None, :] + own) / count
            away = divergence(target[:, None, :], shares)
            picked = chosen.take((1 - weight) * pools.relevance[part] - weight * away)
            sums += own[np.arange(own.shape[0]), picked]
        return chosen.order

    return _in_parts(pools, select, length)


def divergence(target: Floats, shares: Floats) -> Floats:
    """Kullback-Leibler divergence of smoothed `shares` from `target`, over the last axis."""
    smoothed = (1 - SMOOTHING) * shares + SMOOTHING * target
    ratio = np.divide(target, smoothed, out=np.ones(smoothed.shape), where=target > 0)
    away: Floats = (target * np.log(ratio)).sum(axis=-1)
    return away


class _Chosen:
    """What has been taken from the pools of some users."""

    def __init__(self, pools: Pools, part: slice, length: int) -> None:
        self._open = pools.there[part].copy()
        self.length = min(length, self._open.shape[1])
        self.order: Ints = np.full((self._open.shape[0], length), -1)
        self._taken = 0

    def take(self, values: Floats) -> Ints:
        """The best open place of every user; of equal ones the first."""
        picked: Ints = np.where(self._open, values, -np.inf).argmax(axis=1)
        rows = np.arange(picked.size)
        left = self._open[rows, picked]
        self.order[:, self._taken] = np.where(left, picked, -1)
        self._open[rows, picked] = False
        self._taken += 1
        return picked


def _in_parts(pools: Pools, select: Callable[[slice], Ints], length: int) -> Ints:
    starts = range(0, pools.items.shape[0], _USERS_AT_ONCE)
    parts = [select(slice(start, start + _USERS_AT_ONCE)) for start in starts]
    return np.concatenate(parts) if parts else np.zeros((0, length), np.int64)


def reordered(lists: pl.DataFrame, order: Ints) -> pl.DataFrame:
    """Lists whose first places are taken by the chosen titles, in the order of their ranks.

    What is chosen is a set: among its titles the most relevant one stays first, which costs less
    accuracy than the order of the choice. The rest keeps its order.

    Args:
        lists: USER, ITEM, RANK (1, 2, ... per user) and any further columns.
        order: of `mmr` or `calibrated`, for the users in rising order.
    """
    order = np.sort(np.where(order >= 0, order, np.iinfo(np.int64).max), axis=1)
    taken = order < np.iinfo(np.int64).max
    user, place = np.nonzero(taken)
    ids = lists[USER].unique().sort()
    first = pl.DataFrame(
        {USER: ids.gather(user), RANK: order[taken] + 1, INDEX: place},
        schema_overrides={RANK: pl.Int32, INDEX: pl.Int64},
    )
    late = order.shape[1]
    return (
        lists.join(first, on=[USER, RANK], how="left")
        .with_columns(pl.col(INDEX).fill_null(late + pl.col(RANK)))
        .sort(USER, INDEX)
        .with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(USER).alias(RANK))
        .drop(INDEX)
    )
