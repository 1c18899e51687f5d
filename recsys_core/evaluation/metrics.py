"""Ranking metrics of many users at many cut-offs at once.

Everything works on a matrix of hits, (n_users, width): row u, column r says whether the item at
rank r + 1 of user u's list is relevant. No loop runs over users.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PRECISION: Final = "precision"
RECALL: Final = "recall"
NDCG: Final = "ndcg"
MAP: Final = "map"
MRR: Final = "mrr"
HIT_RATE: Final = "hit_rate"
ACCURACY: Final = (NDCG, PRECISION, RECALL, MAP, MRR, HIT_RATE)
"""The metrics of `accuracy`, the headline first."""


def accuracy(
    relevant: Bools, n_relevant: Ints, cutoffs: Sequence[int], *, rated: Bools | None = None
) -> dict[str, Floats]:
    """Every accuracy metric of every user at every cut-off (paper section 3).

    With p the position of an item and h(k) the hits up to cut-off k:

    - precision = h(k) / k, recall = h(k) / relevant, hit rate = 1 if h(k) > 0;
    - NDCG = sum over hits of 1 / log2(p + 1), divided by the same sum over the positions
      1 .. min(k, relevant) (binary gains, as in Jarvelin and Kekalainen 2002);
    - MAP = sum over hits of (hits up to p) / p, divided by all relevant items;
    - MRR = 1 / p of the first hit.

    Args:
        relevant: (n_users, width) whether the item at that rank is relevant; False past the end.
        n_relevant: (n_users,) relevant items of each user, inside the list or not.
        cutoffs: the k, in ranks of the list; a k beyond the width finds nothing more.
        rated: (n_users, width) items that stay in the list. Where given, all others are taken out
            first: positions count only the kept items and precision divides by their number.

    Returns:
        Metric name -> (n_users, n_cutoffs); 0 where the denominator is 0.
    """
    relevant = _widened(relevant, max(cutoffs))
    ranks = np.arange(1, relevant.shape[1] + 1)
    position = np.broadcast_to(ranks, relevant.shape)
    if rated is not None:
        position = np.cumsum(_widened(rated, max(cutoffs)), axis=1)
    at = np.asarray(cutoffs) - 1
    hits = np.cumsum(relevant, axis=1)
    reciprocal = _ratio(relevant, position)
    gain = relevant / np.log2(position + 1.0, where=relevant, out=np.ones(relevant.shape))
    total = n_relevant[:, None]
    return {
        NDCG: _ratio(np.cumsum(gain, axis=1)[:, at], _ideal_gain(n_relevant, cutoffs)),
        PRECISION: _ratio(hits[:, at], position[:, at]),
        RECALL: _ratio(hits[:, at], total),
        MAP: _ratio(np.cumsum(hits * reciprocal, axis=1)[:, at], total),
        MRR: np.maximum.accumulate(reciprocal, axis=1)[:, at],
        HIT_RATE: (hits[:, at] > 0).astype(np.float64),
    }


def ndcg(hits: Bools, n_relevant: Ints) -> Floats:
    """NDCG (n_users,) of whole lists, as `accuracy` has it at one cut-off.

    Args:
        hits: (n_users, k) whether the item at that rank is relevant; no user without a relevant
            item.
        n_relevant: (n_users,) relevant items of each user, at least 1.
    """
    k = hits.shape[1]
    gains: Floats = (hits * _discounts(k)).sum(1) / _ideal_gain(n_relevant, [k])[:, 0]
    return gains


def _discounts(k: int) -> Floats:
    discounts: Floats = 1.0 / np.log2(np.arange(k) + 2.0)
    return discounts


def _ideal_gain(n_relevant: Ints, cutoffs: Sequence[int]) -> Floats:
    """Discounted gain of a perfect list: (n_users, n_cutoffs)."""
    ladder = np.concatenate([[0.0], np.cumsum(_discounts(max(cutoffs)))])
    ideal: Floats = ladder[np.minimum(n_relevant[:, None], np.asarray(cutoffs)[None, :])]
    return ideal


def _widened(matrix: Bools, width: int) -> Bools:
    missing = max(width - matrix.shape[1], 0)
    return np.pad(matrix, ((0, 0), (0, missing)))[:, :width]


def _ratio(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Floats:
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    divisor = np.broadcast_to(denominator, shape)
    ratio: Floats = np.divide(numerator, divisor, out=np.zeros(shape), where=divisor > 0)
    return ratio
