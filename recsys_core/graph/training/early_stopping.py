"""NDCG@k over held-out edges under the `full` protocol, for early stopping."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from recsys_core.evaluation.metrics import hits_of, ndcg
from recsys_core.graph.interaction_graph import Edges, Floats, Indices
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.topk import top_k

Doubles = npt.NDArray[np.float64]


class Validator:
    """Ranks all items a user has no training edge to, and compares with held-out likes.

    Args:
        train: edges that the model was trained on; their items are left out of the lists.
        held_out: its liked edges are relevant.
        n_items: number of items.
        scale: says what is liked.
        k: length of the lists.
    """

    def __init__(
        self, train: Edges, held_out: Edges, *, n_items: int, scale: RatingScale, k: int = 10
    ) -> None:
        liked = held_out.liked(scale)
        self._train, self._n_items, self._k = train, n_items, k
        self._relevant = np.unique(liked.users * n_items + liked.items)
        self._users, self._counts = np.unique(self._relevant // n_items, return_counts=True)

    @property
    def n_users(self) -> int:
        """Users with something relevant, over whom the mean is taken."""
        return len(self._users)

    def ndcg(
        self,
        user_vectors: Floats,
        item_vectors: Floats,
        added: Callable[[Indices], Floats] | None = None,
    ) -> float:
        """Mean NDCG@k of the lists by dot product of (n_users, d) and (n_items, d).

        `added` gives what is added to the products, as in `top_k`.
        """
        return float(np.nanmean(self.by_user(user_vectors, item_vectors, added)))

    def by_user(
        self,
        user_vectors: Floats,
        item_vectors: Floats,
        added: Callable[[Indices], Floats] | None = None,
    ) -> Doubles:
        """(n_users,) NDCG@k of each user's list; NaN for who has nothing relevant."""
        found, _ = top_k(
            user_vectors, item_vectors, self._train.users, self._train.items, self._k, added=added
        )
        lists = found[self._users]
        keys = np.where(lists < 0, -1, self._users[:, None] * self._n_items + lists)
        hits = hits_of(np.isin(keys, self._relevant), self._counts, [self._k])
        values = np.full(len(user_vectors), np.nan)
        values[self._users] = ndcg(hits)[:, 0]
        return values
