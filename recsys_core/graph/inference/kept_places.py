"""Hysteresis of lists: who is in a list stays, unless a newcomer is better by more than noise.

A model that is trained again on nearly the same data scores all items a little differently. What
stands around the last place of a list then changes places for nothing: a user finds another list,
and a language model is asked about it anew. So an item of the last list (of its head, which is what
is judged and served) competes with its score plus `margin` times the noise of a difference of two
scores,

    s(u, i) + margin * sqrt(2) * noise * spread_u

where spread_u is the standard deviation of the user's scores over the items that both lists hold,
and the noise is by how much scores have moved there between the two models, in these units:
their 95 % quantile over 1.96, which is the standard deviation of a normal distribution and passes
over the few users who have done something; differences have heavy tails, and their median says
nothing of these. The order within the head, and behind
it, is that of the scores themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import ITEM, RANK, SCORE, USER
from recsys_core.graph.interaction_graph import Floats, Indices

Scorer = Callable[[Indices], Floats]
TopK = Callable[[Scorer | None], tuple[Indices, Floats]]
"""From what is added to all scores of some users to (items, scores) of the lists."""

_LEAST: Final = 3
"""Items that two lists of a user must share, so that their scores can be compared."""
_QUANTILE: Final = 0.95
_TO_DEVIATION: Final = 1.96
"""That quantile of absolute deviations of a normal distribution, in standard deviations."""
_NOW: Final = "_now"


@dataclass(frozen=True, kw_only=True)
class KeptPlaces:
    """Lists in which earlier items have kept their places.

    Attributes:
        indices: (n_users, k) columns, the head first, both parts best first; -1 where a list is
            shorter.
        scores: (n_users, k) the model's scores.
        noise: by how much scores moved since the last lists, in spreads of a user's scores.
        kept: places that went to an item of the last list and not to a newcomer.
    """

    indices: Indices
    scores: Floats
    noise: float
    kept: int


def keep_places(
    top: TopK,
    added: Scorer | None,
    last: pl.DataFrame,
    *,
    users: pl.Series,
    items: pl.Series,
    head: int,
    margin: float,
) -> KeptPlaces:
    """Lists of the best items, those of the last lists preferred by `margin`.

    Args:
        top: makes the lists; leaves out what a user knows and what may not be recommended,
            whatever is added.
        added: what belongs to the scores beside the vectors' products; None for nothing.
        last: `columns.CANDIDATES`, the last lists, by the ids that `users` and `items` have.
        users: (n_users,) ids of the rows.
        items: (n_items,) ids of the columns.
        head: first places of a list, within which earlier items are preferred.
        margin: standard deviations of the noise; 0 keeps nothing.
    """
    indices, scores = top(added)
    pairs = _placed(last.filter(pl.col(RANK) <= head), users, items)
    shared = _shared(pairs, indices, scores)
    noise = _noise(shared)
    bonus = np.zeros(users.len(), np.float32)
    spread = shared.group_by(USER).agg(pl.col(_NOW).std(), pl.len()).filter(pl.col("len") >= _LEAST)
    bonus[spread[USER].to_numpy()] = spread[_NOW].to_numpy() * (margin * 2**0.5 * noise)
    if not bonus.any():
        return KeptPlaces(indices=indices, scores=scores, noise=noise, kept=0)
    owners, columns = pairs[USER].to_numpy(), pairs[ITEM].to_numpy()
    found, raised = top(_raised(added, owners, columns, bonus, items.len()))
    own = raised - bonus[:, None] * _among(found, owners, columns, items.len())
    behind = np.arange(found.shape[1]) >= head
    order = np.lexsort((-own, np.broadcast_to(behind, own.shape)), axis=1)
    found, own = np.take_along_axis(found, order, axis=1), np.take_along_axis(own, order, axis=1)
    # Where the same items are listed, to the last bit what a list without hysteresis is.
    first, before = found[:, :head], indices[:, :head]
    other = (np.sort(first, axis=1) != np.sort(before, axis=1)).any(axis=1)
    kept = int((~np.isin(_keys(first, items.len()), _keys(before, items.len())))[other].sum())
    indices[other], scores[other] = found[other], own[other]
    return KeptPlaces(indices=indices, scores=scores, noise=noise, kept=kept)


def _placed(last: pl.DataFrame, users: pl.Series, items: pl.Series) -> pl.DataFrame:
    """USER and ITEM as numbers, and SCORE, of the entries whose user and item are known today."""
    found = last.select(USER, ITEM, SCORE)
    for name, ids in ((USER, users), (ITEM, items)):
        numbers = pl.DataFrame({name: ids, _NOW: np.arange(ids.len(), dtype=np.int64)})
        found = found.join(numbers, on=name).drop(name).rename({_NOW: name})
    return found.sort(USER, ITEM)


def _shared(pairs: pl.DataFrame, indices: Indices, scores: Floats) -> pl.DataFrame:
    """`pairs` that today's lists hold, too, with today's score."""
    rows, places = np.nonzero(indices >= 0)
    now = {USER: rows, ITEM: indices[rows, places], _NOW: scores[rows, places].astype(np.float64)}
    return pairs.join(pl.DataFrame(now), on=[USER, ITEM]).sort(USER, ITEM)


def _noise(shared: pl.DataFrame) -> float:
    def standard(name: str) -> pl.Expr:
        value = pl.col(name).cast(pl.Float64)
        return (value - value.mean().over(USER)) / value.std().over(USER)

    moved = (
        shared.filter(pl.len().over(USER) >= _LEAST)
        .select((standard(SCORE) - standard(_NOW)).abs().alias(_NOW))
        .filter(pl.col(_NOW).is_finite())[_NOW]
        .quantile(_QUANTILE)
    )
    return moved / _TO_DEVIATION if moved else 0.0


def _raised(
    added: Scorer | None, owners: Indices, columns: Indices, bonus: Floats, n_items: int
) -> Scorer:
    """`added` with the users' bonus on the items of their last lists."""

    def score(users: Indices) -> Floats:
        block = np.zeros((len(users), n_items), np.float32) if added is None else added(users)
        rows = np.searchsorted(users, owners)
        here = rows < len(users)
        here[here] = users[rows[here]] == owners[here]
        block[rows[here], columns[here]] += bonus[owners[here]]
        return block

    return score


def _among(
    found: Indices, owners: Indices, columns: Indices, n_items: int
) -> npt.NDArray[np.bool_]:
    """(n_users, k) whether an entry was in the user's last list."""
    listed: npt.NDArray[np.bool_] = np.isin(_keys(found, n_items), owners * n_items + columns)
    return listed


def _keys(found: Indices, n_items: int) -> Indices:
    keys: Indices = np.where(found < 0, -1, np.arange(len(found))[:, None] * n_items + found)
    return keys
