"""EASE with side information: a Gaussian kernel of item features is added to the Gram matrix.

EASE (Steck, WWW 2019) regresses every item on all others. Adding LIKENESS x rbf(f_i, f_j) to
G = X'X is adding pseudo co-occurrences of items with similar features, as Jeunen et al. do with
feature rows ("Closed-form models for collaborative filtering with side-information", RecSys 2020).
Rare items borrow from similar ones, and items without ratings get scores.

The scores X B are kept as a dot product of `rank` dimensions: with V the leading right singular
vectors of X B, the score of item i for user u is (x_u B V) . V_i.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.recommenders.ease import gram_matrix, regression

Doubles = npt.NDArray[np.float64]

REGULARISATION: Final = 400.0
"""Lambda of the ridge, in users: added to the diagonal of the Gram matrix."""
LIKENESS: Final = 400.0
"""Pseudo co-occurrences of two items with equal features, in users."""
_SHARPNESS: Final = 1 / 0.6
"""Gamma of the Gaussian kernel: features with a cosine of .7 have a kernel of .37."""
_OVERSAMPLED: Final = 10
_ITERATIONS: Final = 4
MOST_ITEMS: Final = 6_000
"""Items beyond which the cube of their number costs too much time."""
_AT_ONCE: Final = 1024
"""Rows of the kernel computed at a time."""


def rows_of(edges: Edges, values: Floats, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Sparse matrix of `shape` (n_users, n_items) with one value (n_edges,) per edge."""
    cells = edges.users, edges.items
    return sparse.csr_matrix((values.astype(np.float64), cells), shape=shape)


def low_rank_ease(
    matrix: sparse.csr_matrix,
    features: Floats,
    *,
    rank: int,
    seed: int,
    also: sparse.csr_matrix | None = None,
) -> tuple[Doubles, Floats] | str:
    """Factors (n_columns, rank) and (n_items, rank) whose product approximates B.

    A reason instead, with more than `MOST_ITEMS` items, or fewer than two users or items.

    Args:
        matrix: (n_users, n_columns) rating weights; user attributes may follow as further columns,
            which predict items and are not predicted.
        features: (n_items, d); an item of zeros has no similar items.
        rank: singular vectors kept.
        seed: of the randomised SVD.
        also: (n, n_columns) further training rows, which are not scored.
    """
    n_items = len(features)
    if n_items > MOST_ITEMS:
        return f"more than {MOST_ITEMS} items: their matrix costs the cube in time (local EASE is)"
    if min(matrix.shape[0], n_items) < 2:
        return "fewer than two users or items"
    # One thread: with several, the last bits depend on how many there are.
    with threadpool_limits(1):
        rows = matrix if also is None else sparse.vstack([matrix, also], format="csr")
        gram = gram_matrix(rows, REGULARISATION)
        _add_likeness(gram, features)
        slopes = regression(gram)[:, :n_items]
        directions = _right_singular(matrix, slopes, min(rank, matrix.shape[0], n_items), seed)
        return slopes @ directions, directions.astype(np.float32)


def _right_singular(matrix: sparse.csr_matrix, slopes: Doubles, rank: int, seed: int) -> Doubles:
    """(n_items, rank) leading right singular vectors of the scores X B, without computing these.

    Randomised subspace iteration (Halko, Martinsson and Tropp, 2011) through the two factors.
    """
    size = min(rank + _OVERSAMPLED, *matrix.shape, slopes.shape[1])
    basis = np.random.default_rng(seed).standard_normal((slopes.shape[1], size))
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(slopes.T @ (matrix.T @ (matrix @ (slopes @ basis))))[0]
    _, _, rotation = np.linalg.svd(matrix @ (slopes @ basis), full_matrices=False)
    found: Doubles = basis @ rotation[:rank].T
    return found


def _add_likeness(gram: Doubles, features: Floats) -> None:
    """Add the kernel of the features to the Gram matrix, in place."""
    described = np.flatnonzero(features.any(axis=1))
    if not len(described):
        return
    directions = normalize(features[described].astype(np.float64))
    for start in range(0, len(described), _AT_ONCE):
        block = slice(start, start + _AT_ONCE)
        alike = rbf_kernel(directions[block], directions, gamma=_SHARPNESS)
        gram[np.ix_(described[block], described)] += LIKENESS * alike
