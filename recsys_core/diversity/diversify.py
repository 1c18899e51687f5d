"""The last step on lists of any method, and what each weight of it costs on validation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from recsys_core.columns import (
    CALIBRATION,
    DIVERSITY,
    GENRES,
    INDEX,
    ITEM,
    METHOD,
    NDCG_AT_10,
    RANK,
    TRADE_OFF,
    USER,
    WEIGHT,
    check,
)  # fmt: skip
from recsys_core.diversity.config import DiversityConfig
from recsys_core.diversity.selection import (
    Pools,
    calibrated,
    divergence,
    mmr,
    pools_of,
    reordered,
)
from recsys_core.evaluation.metrics import Bools, Floats, Ints, hits_of, ndcg
from recsys_core.interactions.feedback import is_liked

MMR, CALIBRATED, NONE = "mmr", "calibration", "none"
_K: Final = 10
_WEIGHTS: Final = tuple(step / 10 for step in range(10))


@dataclass(frozen=True, kw_only=True)
class Genres:
    """What variety is measured by.

    Attributes:
        items: ids, `(n_items,)`.
        shares: each item's genres, with equal shares, `(n_items, n_genres)`; zeros without any.
        unit: the same at length one, the vectors whose cosines MMR sees.
    """

    items: pl.Series
    shares: Floats
    unit: Floats


def genres_of(items: pl.DataFrame) -> Genres:
    """From `columns.ITEMS`."""
    known = items.select(ITEM, GENRES).with_row_index(INDEX)
    long = known.explode(GENRES).drop_nulls(GENRES)
    names = long[GENRES].unique().sort()
    flags = np.zeros((items.height, max(1, names.len())))
    column = long.join(
        pl.DataFrame({GENRES: names}).with_row_index("column"), on=GENRES, maintain_order="left"
    )
    flags[column[INDEX].to_numpy(), column["column"].to_numpy()] = 1.0
    return Genres(
        items=items[ITEM],
        shares=_divided(flags, flags.sum(axis=1, keepdims=True)),
        unit=_divided(flags, np.linalg.norm(flags, axis=1, keepdims=True)),
    )


def _divided(values: Floats, by: Floats) -> Floats:
    found: Floats = np.divide(values, by, out=np.zeros_like(values), where=by > 0)
    return found


def history_shares(
    users: pl.Series, history: pl.DataFrame, genres: Genres, *, like_from: float
) -> Floats:
    """Genre shares of what each user liked, `(n_users, n_genres)`; zeros where nothing is known."""
    place = users.to_frame().with_row_index("user")
    known = pl.DataFrame({ITEM: genres.items}).with_row_index(INDEX)
    liked = history.filter(is_liked(like_from)).join(known, on=ITEM).join(place, on=USER)
    sums = np.zeros((users.len(), genres.shares.shape[1]))
    np.add.at(sums, liked["user"].to_numpy(), genres.shares[liked[INDEX].to_numpy()])
    return _divided(sums, sums.sum(axis=1, keepdims=True))


def diversified(
    lists: pl.DataFrame,
    history: pl.DataFrame,
    items: pl.DataFrame,
    *,
    like_from: float,
    config: DiversityConfig,
) -> pl.DataFrame:
    """Lists whose first places are chosen for relevance and variety.

    Args:
        lists: USER, ITEM, RANK, SCORE and any further columns, of any method. SCORE stays with
            its item, so that it need not fall with the rank any more.
        history: `columns.INTERACTIONS` that may be known.
        items: `columns.ITEMS`.
        like_from: lowest rating that counts as liked.
        config: method, weight, pool, length.
    """
    if config.method == NONE or lists.is_empty():
        return lists
    genres = genres_of(items)
    pools = pools_of(lists, genres.items, config.pool)
    wanted = history_shares(lists[USER].unique().sort(), history, genres, like_from=like_from)
    order = _order(config.method, pools, genres, wanted, config.weight, config.length)
    return reordered(lists, order)


def _order(
    method: str, pools: Pools, genres: Genres, wanted: Floats, weight: float, length: int
) -> Ints:
    if method == MMR:
        return mmr(pools, genres.unit, weight=weight, length=length)
    return calibrated(pools, genres.shares, wanted, weight=weight, length=length)


def trade_off(
    lists: pl.DataFrame,
    history: pl.DataFrame,
    valid: pl.DataFrame,
    items: pl.DataFrame,
    *,
    like_from: float,
    pool: int,
) -> pl.DataFrame:
    """What each weight of MMR and of calibration does to the first ten places, on validation.

    Args:
        lists: `columns.CANDIDATES` of a model fitted on `history` alone.
        history: training interactions.
        valid: validation interactions; liked ones are the relevant items.
        items: `columns.ITEMS`.
        like_from: lowest rating that counts as liked.
        pool: titles of a list that the first places are chosen from.

    Returns:
        `columns.TRADE_OFF`: NDCG@10, intra-list diversity (mean of 1 - cosine of genres over the
        pairs) and calibration error (divergence from the genres of the history; both NaN where
        items have no genres), a row per method and weight; empty without a validation user.
    """
    liked = valid.filter(is_liked(like_from)).select(USER, ITEM).unique()
    lists = lists.join(liked, on=USER, how="semi").sort(USER, RANK)
    if lists.is_empty():
        return pl.DataFrame(schema=dict(TRADE_OFF))
    genres = genres_of(items)
    users = lists[USER].unique().sort()
    pools = pools_of(lists, genres.items, pool)
    wanted = history_shares(users, history, genres, like_from=like_from)
    hits = _hits(lists, liked, pools.items.shape)
    relevant = liked.join(users.to_frame(), on=USER, how="semi").group_by(USER).len().sort(USER)
    total = relevant["len"].cast(pl.Int64).to_numpy()
    rows = []
    for method in (MMR, CALIBRATED):
        for weight in _WEIGHTS:
            order = np.sort(_order(method, pools, genres, wanted, weight, _K), axis=1)
            seen = _seen(order, pools, hits, total, genres, wanted)
            rows.append({METHOD: method, WEIGHT: weight, **seen})
    return check(pl.DataFrame(rows, schema=dict(TRADE_OFF)), TRADE_OFF, table="trade_off")


def _hits(lists: pl.DataFrame, liked: pl.DataFrame, shape: tuple[int, ...]) -> Bools:
    place = lists[USER].unique().sort().to_frame().with_row_index(INDEX)
    found = lists.join(liked, on=[USER, ITEM], how="semi").join(place, on=USER)
    found = found.filter(pl.col(RANK) <= shape[1])
    hits: Bools = np.zeros(shape, np.bool_)
    hits[found[INDEX].to_numpy(), found[RANK].to_numpy() - 1] = True
    return hits


def _seen(
    order: Ints, pools: Pools, hits: Bools, total: Ints, genres: Genres, wanted: Floats
) -> Mapping[str, float]:
    # Places past the end of a short list are -1 and sort to the front; they hit nothing.
    there = order >= 0
    order = np.where(there, order, 0)
    rows = np.arange(order.shape[0])[:, None]
    front = np.argsort(~there, axis=1, kind="stable")
    hit = (hits[rows, order] & there)[rows, front]
    listed = pools.items[rows, order]
    units = np.where(there[:, :, None], genres.unit[listed], 0.0)
    known = there & (genres.unit[listed].any(axis=2))
    count = known.sum(axis=1)
    cosines = np.square(units.sum(axis=1)).sum(axis=1) - count
    pairs = count * (count - 1)
    diversity = 1 - np.divide(cosines, pairs, out=np.full(count.shape, np.nan), where=pairs > 0)
    shares = np.where(there[:, :, None], genres.shares[listed], 0.0).sum(axis=1)
    error = divergence(wanted, _divided(shares, there.sum(axis=1, keepdims=True).astype(float)))
    return {
        NDCG_AT_10: float(ndcg(hits_of(hit, total, (_K,))).mean()),
        DIVERSITY: float(np.nanmean(diversity)) if (pairs > 0).any() else float("nan"),
        CALIBRATION: float(error.mean()) if wanted.any() else float("nan"),
    }
