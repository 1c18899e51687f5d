"""Ranking metrics of many users at many cut-offs at once.

Everything works on a matrix of hits, (n_users, width): row u, column r says whether the item at
rank r + 1 of user u's list is relevant. No loop runs over users. `metric_table` names each metric
and says where it is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NDCG: Final = "ndcg"
PRECISION: Final = "precision"
RECALL: Final = "recall"
MAP: Final = "map"
MRR: Final = "mrr"
HIT_RATE: Final = "hit_rate"


@dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """What ranking metrics are computed from.

    Attributes:
        relevant: (n_users, width) whether the item at that rank is relevant; False past the end.
        position: (n_users, width) the rank that counts, from 1; see `hits_of`.
        n_relevant: (n_users,) relevant items of each user, inside the list or not.
        cutoffs: the k, at most the width.
    """

    relevant: Bools
    position: Ints
    n_relevant: Ints
    cutoffs: tuple[int, ...]

    @cached_property
    def at(self) -> Ints:
        """Columns of the cut-offs."""
        return np.asarray(self.cutoffs) - 1

    @cached_property
    def found(self) -> Ints:
        """h(k): relevant items among the first 1 .. width, (n_users, width)."""
        return np.cumsum(self.relevant, axis=1)

    @cached_property
    def reciprocal(self) -> Floats:
        """1 / position of each hit, else 0, (n_users, width)."""
        return _ratio(self.relevant, self.position)


def hits_of(
    relevant: Bools, n_relevant: Ints, cutoffs: Sequence[int], *, rated: Bools | None = None
) -> Hits:
    """The hits of ranked lists.

    Args:
        relevant: (n_users, width) whether the item at that rank is relevant.
        n_relevant: (n_users,) relevant items of each user, inside the list or not.
        cutoffs: the k, in ranks of the list; a k beyond the width finds nothing more.
        rated: (n_users, width) items that stay in the list. Where given, all others are taken out
            first: positions count only the kept items and precision divides by their number.
    """
    relevant = _widened(relevant, max(cutoffs))
    position = np.broadcast_to(np.arange(1, relevant.shape[1] + 1), relevant.shape)
    if rated is not None:
        position = np.cumsum(_widened(rated, max(cutoffs)), axis=1)
    return Hits(relevant=relevant, position=position, n_relevant=n_relevant, cutoffs=tuple(cutoffs))


def ndcg(hits: Hits) -> Floats:
    """Sum over hits of 1 / log2(position + 1), divided by that of a perfect list.

    Binary gains; the perfect list has hits at 1 .. min(k, relevant) (Jarvelin and Kekalainen 2002).
    """
    ones = np.ones(hits.relevant.shape)
    gain = hits.relevant / np.log2(hits.position + 1.0, where=hits.relevant, out=ones)
    return _ratio(np.cumsum(gain, axis=1)[:, hits.at], _ideal_gain(hits))


def precision(hits: Hits) -> Floats:
    """h(k) / k."""
    return _ratio(hits.found[:, hits.at], hits.position[:, hits.at])


def recall(hits: Hits) -> Floats:
    """h(k) / relevant."""
    return _ratio(hits.found[:, hits.at], hits.n_relevant[:, None])


def average_precision(hits: Hits) -> Floats:
    """Sum over hits of (hits up to it) / position, divided by all relevant items."""
    total = np.cumsum(hits.found * hits.reciprocal, axis=1)
    return _ratio(total[:, hits.at], hits.n_relevant[:, None])


def reciprocal_rank(hits: Hits) -> Floats:
    """1 / position of the first hit."""
    first: Floats = np.maximum.accumulate(hits.reciprocal, axis=1)[:, hits.at]
    return first


def hit_rate(hits: Hits) -> Floats:
    """1 where h(k) > 0."""
    return (hits.found[:, hits.at] > 0).astype(np.float64)


def _ideal_gain(hits: Hits) -> Floats:
    """Discounted gain of a perfect list: (n_users, n_cutoffs)."""
    ladder = np.cumsum(1.0 / np.log2(np.arange(max(hits.cutoffs)) + 2.0))
    ladder = np.concatenate([[0.0], ladder])
    ideal: Floats = ladder[np.minimum(hits.n_relevant[:, None], np.asarray(hits.cutoffs)[None, :])]
    return ideal


def _widened(matrix: Bools, width: int) -> Bools:
    missing = max(width - matrix.shape[1], 0)
    return np.pad(matrix, ((0, 0), (0, missing)))[:, :width]


def _ratio(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Floats:
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    divisor = np.broadcast_to(denominator, shape)
    ratio: Floats = np.divide(numerator, divisor, out=np.zeros(shape), where=divisor > 0)
    return ratio
