"""NDCG@k over held-out edges under the `full` protocol: what early stopping watches."""

import numpy as np

from recsys_core.graph.inference.topk import top_k
from recsys_core.graph.interaction_graph import Edges, Floats


class Validator:
    """Ranks all items a user has no training edge to, and compares with held-out likes.

    Args:
        train: edges that the model was trained on; their items are left out of the lists.
        held_out: edges with a rating of `like_from` or more are relevant.
        n_items: number of items.
        like_from: lowest rating that counts as liked.
        k: length of the lists.
    """

    def __init__(
        self, train: Edges, held_out: Edges, *, n_items: int, like_from: float, k: int = 10
    ) -> None:
        liked = held_out.liked(like_from)
        self._train, self._n_items, self._k = train, n_items, k
        self._relevant = np.unique(liked.users * n_items + liked.items)
        self._users, counts = np.unique(self._relevant // n_items, return_counts=True)
        gains = 1 / np.log2(np.arange(2, k + 2))
        self._gains, self._ideal = gains, gains.cumsum()[np.minimum(counts, k) - 1]

    @property
    def n_users(self) -> int:
        """Users with something relevant, over whom the mean is taken."""
        return len(self._users)

    def ndcg(self, user_vectors: Floats, item_vectors: Floats) -> float:
        """Mean NDCG@k of the lists by dot product of (n_users, d) and (n_items, d)."""
        found, _ = top_k(user_vectors, item_vectors, self._train.users, self._train.items, self._k)
        lists = found[self._users]
        keys = np.where(lists < 0, -1, self._users[:, None] * self._n_items + lists)
        hits = np.isin(keys, self._relevant)
        return float(((hits * self._gains).sum(1) / self._ideal).mean())
