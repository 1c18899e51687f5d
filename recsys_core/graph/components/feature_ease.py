"""A regression of every item on all others, told which items are alike, as a dot product.

EASE knows items by who rated them alone; here items of like features are taken to have gone
together before anybody rated them: the Gram matrix gets the kernel of the features in advance. So
rare items lean on what is like them, and an item without ratings has scores, too.

The score of item i for user u is the i-th entry of x_u B. Its leading directions V (from the
singular vectors of all scores) make a dot product of it: (x_u B V) . V_i.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.recommenders.ease import MAX_ITEMS, gram_matrix, regression

Doubles = npt.NDArray[np.float64]

REGULARISATION: Final = 400.0
"""Lambda: how many users of its own an item is taken to have in advance."""
LIKENESS: Final = 400.0
"""How many users two items of one meaning are taken to have in common in advance."""
_SHARPNESS: Final = 1 / 0.6
"""Gamma of the Gaussian kernel: items whose features have a cosine of .7 are two fifths alike."""
_AT_ONCE: Final = 1024
"""Items whose likeness to all others is computed at a time."""


def rows_of(edges: Edges, values: Floats, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Matrix (n_users, n_items) = `shape` of what stands for each edge, (n_edges,); else zeros."""
    cells = edges.users, edges.items
    return sparse.csr_matrix((values.astype(np.float64), cells), shape=shape)


def regressed(
    matrix: sparse.csr_matrix,
    features: Floats,
    *,
    rank: int,
    seed: int,
    also: sparse.csr_matrix | None = None,
) -> tuple[Doubles, Floats] | None:
    """Slopes (n_columns, rank) in the leading directions, and these (n_items, rank).

    Their product is the matrix B. None where there are too many items, or too few of anything.

    Args:
        matrix: (n_users, n_columns) what the ratings say, 0 where there is none; behind the items
            may stand what else is known of the users, which scores are read from alike.
        features: (n_items, d) what items are known by; an item of zeros is like no other.
        rank: directions that are kept.
        seed: of the randomised search for the directions.
        also: (n, n_columns) more rows to learn from, beside those that will be scored.
    """
    n_items = len(features)
    if n_items > MAX_ITEMS or min(matrix.shape[0], n_items) < 2:
        return None
    # One thread: with several, the last bits depend on how many there are.
    with threadpool_limits(1):
        rows = matrix if also is None else sparse.vstack([matrix, also], format="csr")
        gram = gram_matrix(rows, REGULARISATION)
        _add_likeness(gram, features)
        slopes = regression(gram)[:, :n_items]
        # The scores X B have the right singular vectors of B'X'XB, which has no row per user.
        squared = slopes.T @ ((matrix.T @ matrix) @ slopes)
        kept = min(rank, matrix.shape[0], n_items)
        _, _, right = randomized_svd(squared, n_components=kept, n_iter=4, random_state=seed)
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
