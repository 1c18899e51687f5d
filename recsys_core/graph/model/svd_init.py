"""Initial id vectors: leading singular vectors of the degree-normalised training matrix.

From random vectors the model needs a few hundred epochs; from these, a few dozen.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from recsys_core.graph.interaction_graph import Floats, Indices

SPREAD: Final = 0.1
"""Root mean square of the entries."""


def svd_vectors(
    users: Indices,
    items: Indices,
    weights: Floats,
    *,
    shape: tuple[int, int],
    rank: int,
    seed: int,
) -> Floats:
    """Singular vectors of D_u^-1/2 W D_i^-1/2, each scaled by the root of its singular value.

    Args:
        users: (n,) user of each weighted pair.
        items: (n,) item of each weighted pair.
        weights: (n,) weight, 0 or more.
        shape: (n_users, n_items).
        rank: singular vectors wanted; small data give fewer.
        seed: seed of the randomised decomposition.

    Returns:
        (n_users + n_items, rank or fewer) float32; zeros for a node without weight, so that only
        its profile describes it.
    """
    from scipy.sparse import coo_matrix, diags
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    matrix = coo_matrix((weights.astype(np.float64), (users, items)), shape=shape).tocsr()
    scaled = diags(_inverse_root(matrix.sum(1))) @ matrix @ diags(_inverse_root(matrix.sum(0)))
    # One thread: with several, the last bits depend on how many there are.
    with threadpool_limits(1):
        left, values, right = randomized_svd(
            scaled, n_components=min(rank, *shape), n_iter=4, random_state=seed
        )
    vectors = np.concatenate([left, right.T]) * np.sqrt(values)
    size = np.sqrt(np.square(vectors).mean())
    scaled_vectors: Floats = (vectors * (SPREAD / size if size > 0 else 0)).astype(np.float32)
    return scaled_vectors


def _inverse_root(sums: npt.ArrayLike) -> npt.NDArray[np.float64]:
    # Below one, a node with a single weak edge would outshine all others.
    result: npt.NDArray[np.float64] = 1 / np.sqrt(np.maximum(np.asarray(sums).ravel(), 1.0))
    return result
