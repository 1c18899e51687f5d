"""Losses of LightGCN and NGCF: softmax over all items, and BPR."""

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn.functional import cross_entropy, embedding, logsigmoid, normalize

from recsys_core.interactions.negative_sampling import NegativeSampler
from recsys_core.recommenders.lightgcn.config import LightGcnConfig
from recsys_core.recommenders.rating_matrix import Rows

_CELLS: Final = 8_000_000
"""Scores held at once by the softmax, users x items."""


class Objective(Protocol):
    """A loss on the vectors of all users and items; each call takes the next batch."""

    def __call__(self, users: Tensor, items: Tensor) -> Tensor:
        """Scalar loss; users (n_users, d), items (n_items, d)."""


def objective(matrix: sparse.csr_matrix, settings: LightGcnConfig) -> Objective:
    """The loss that the settings name, on the weights (n_users, n_items)."""
    rng = np.random.default_rng(settings.seed)
    if settings.loss == "softmax":
        return Softmax(matrix, settings, rng)
    return Bpr(matrix, settings, rng)


class Softmax:
    """-sum_ui w_ui log softmax_i(cos(u, i) / temperature) / sum_ui w_ui, over a batch of users.

    Every item is a negative of every user, so nothing is sampled (the full form of the loss in
    Wu et al., "On the Effectiveness of Sampled Softmax Loss for Item Recommendation", 2022).
    """

    def __init__(
        self, matrix: sparse.csr_matrix, settings: LightGcnConfig, rng: np.random.Generator
    ) -> None:
        self._matrix, self._temperature = matrix, settings.temperature
        users = np.flatnonzero(matrix.getnnz(axis=1))
        self._batches = _rounds(users, max(1, _CELLS // max(matrix.shape[1], 1)), rng)

    def __call__(self, users: Tensor, items: Tensor) -> Tensor:
        """Loss of the next users; users (n_users, d), items (n_items, d)."""
        batch = next(self._batches)
        weights = torch.from_numpy(self._matrix[batch].toarray().astype(np.float32))
        scores = normalize(embedding(_long(batch), users)) @ normalize(items).T / self._temperature
        return cross_entropy(scores, weights, reduction="sum") / weights.sum()


class Bpr:
    """-w log sigmoid(u . i - u . j), with j drawn among the items without an entry.

    Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback" (UAI 2009).
    """

    def __init__(
        self, matrix: sparse.csr_matrix, settings: LightGcnConfig, rng: np.random.Generator
    ) -> None:
        pairs = matrix.tocoo()
        self._rng, (n_users, n_items) = rng, matrix.shape
        self._negatives = NegativeSampler(
            _long(pairs.row), _long(pairs.col), n_users=n_users, n_items=n_items
        )
        self._pairs = pairs.row.astype(np.int64), pairs.col.astype(np.int64), pairs.data
        # A user with every item has no negative, and teaches nothing here.
        usable = np.flatnonzero(self._negatives.unknown_counts()[pairs.row] > 0)
        self._batches = _rounds(usable, settings.batch, rng)

    def __call__(self, users: Tensor, items: Tensor) -> Tensor:
        """Loss of the next interactions; users (n_users, d), items (n_items, d)."""
        batch = next(self._batches, None)
        if batch is None:
            return (users.sum() + items.sum()) * 0.0
        user, liked, weight = (values[batch] for values in self._pairs)
        other = self._negatives.draw_with_numpy(user, self._rng)
        # `embedding` looks rows up like an index does, with a faster gradient.
        difference = embedding(_long(liked), items) - embedding(_long(other), items)
        margin = (embedding(_long(user), users) * difference).sum(dim=1)
        weights = torch.from_numpy(weight.astype(np.float32))
        return -(weights * logsigmoid(margin)).sum() / weights.sum()


def _rounds(values: Rows, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Batches of the values, shuffled anew at every pass, without end; sorted within a batch."""
    while values.size:
        order = rng.permutation(values)
        for start in range(0, order.size, size):
            yield np.sort(order[start : start + size])


def _long(values: Rows) -> Tensor:
    return torch.from_numpy(values.astype(np.int64))
