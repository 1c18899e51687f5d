"""A regression of every item on all others, beside the network, in the same dot product.

The network and EASE err differently, and the sum of their scores is better than either. EASE knows
items by who rated them alone; here items of like features are taken to have gone together before
anybody rated them: the Gram matrix gets the kernel of the features in advance. So rare items lean
on what is like them, and an item without ratings has scores, too.

EASE's score of item i for user u is the i-th entry of x_u B. Its leading directions V (from the
singular vectors of all scores) make a dot product of it: (x_u B V) . V_i. So these few dimensions
are appended to the network's vectors, and an index can go on serving dot products.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from recsys_core.baselines.ease import MAX_ITEMS, gram_matrix, regression
from recsys_core.config import DataConfig, GraphConfig
from recsys_core.graph.bipartite import Edges, Floats
from recsys_core.graph.objective import target_weights
from recsys_core.graph.task import Task

Doubles = npt.NDArray[np.float64]

REGULARISATION: Final = 400.0
"""Lambda of the regression: how many users of its own an item is taken to have in advance."""
LIKENESS: Final = 400.0
"""How many users two items of one meaning are taken to have in common in advance."""
RANK: Final = 128
"""Directions that are kept."""
_SHARPNESS: Final = 1 / 0.6
"""Gamma of the Gaussian kernel: items whose features have a cosine of .7 are two fifths alike."""
_AT_ONCE: Final = 1024
"""Items whose likeness to all others is computed at a time."""


@dataclass(frozen=True, kw_only=True)
class ItemToItem:
    """The regression as a dot product.

    Attributes:
        rated: (n_items, rank) what an item that a user rated adds to the user's vector.
        items: (n_items, rank) vector of an item that is scored.
        config: weights of ratings.
        data: thresholds of ratings.
    """

    rated: Floats
    items: Floats
    config: GraphConfig
    data: DataConfig

    def users(self, edges: Edges, n_users: int) -> Floats:
        """Vectors (n_users, rank) of users who have rated `edges`."""
        weights = _weight_matrix(edges, (n_users, len(self.items)), self.config, self.data)
        vectors: Floats = np.asarray(weights @ self.rated, dtype=np.float32)
        return vectors


def item_to_item(task: Task) -> ItemToItem | None:
    """Fit the regression; None where it is not wanted, or `regressed` has none."""
    graph, factor = task.graph, task.config.item_to_item
    if not factor:
        return None
    shape = (graph.n_users, graph.n_items)
    weights = _weight_matrix(graph.edges, shape, task.config, task.data)
    found = regressed(weights, task.item_text, task.seed)
    if found is None:
        return None
    rated, items = found
    return ItemToItem(
        rated=(factor * rated).astype(np.float32), items=items, config=task.config, data=task.data
    )


def regressed(
    weights: sparse.csr_matrix, features: Floats, seed: int
) -> tuple[Doubles, Floats] | None:
    """Slopes in the leading directions, and these: (n_items, rank) each.

    Their product is the matrix B. None where there are too many items, or too few of anything.

    Args:
        weights: (n_users, n_items) weights of what users rated, 0 for dislikes.
        features: (n_items, d) what items are known by; an item of zeros is like no other.
        seed: of the randomised search for the directions.
    """
    rank = min(RANK, *weights.shape)
    if weights.shape[1] > MAX_ITEMS or min(weights.shape) < 2:
        return None
    # One thread: with several, the last bits depend on how many there are.
    with threadpool_limits(1):
        gram = gram_matrix(weights, REGULARISATION)
        _add_likeness(gram, features)
        slopes = regression(gram)
        # The scores X B have the right singular vectors of B'X'XB, which has no row per user.
        squared = slopes.T @ ((weights.T @ weights) @ slopes)
        _, _, right = randomized_svd(squared, n_components=rank, n_iter=4, random_state=seed)
        directions = right.T
        return slopes @ directions, directions.astype(np.float32)


def _add_likeness(gram: Doubles, features: Floats) -> None:
    """Add to the Gram matrix what items of these features are taken to have in common."""
    described = np.flatnonzero(features.any(axis=1))
    if not len(described):
        return
    directions = normalize(features[described].astype(np.float64))
    for start in range(0, len(described), _AT_ONCE):
        block = slice(start, start + _AT_ONCE)
        alike = rbf_kernel(directions[block], directions, gamma=_SHARPNESS)
        gram[np.ix_(described[block], described)] += LIKENESS * alike


def _weight_matrix(
    edges: Edges, shape: tuple[int, int], config: GraphConfig, data: DataConfig
) -> sparse.csr_matrix:
    """(n_users, n_items) weights of what users rated; `shape` is that of the matrix."""
    values = target_weights(edges.ratings, config, data).astype(np.float64)
    return sparse.csr_matrix((values, (edges.users, edges.items)), shape=shape)
