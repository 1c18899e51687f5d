"""Components of a few hundred dimensions: the low pass of the graph, and implicit ALS.

Both are written as history row @ rated @ scored', so that new users and decayed histories are
scored alike.
"""

from typing import Final

import numpy as np
from scipy import sparse

from recsys_core.graph.components.item_maps import normalised
from recsys_core.graph.interaction_graph import Floats

_EXTRA: Final = 16
"""Directions beyond the rank that the subspace iteration carries (Halko et al. 2011, sec. 4.2)."""
_PASSES: Final = 3
"""Subspace iterations; on the review data more changed no third digit of NDCG."""


def singular_vectors(
    matrix: sparse.csr_matrix, rank: int, *, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Leading singular vectors and values U, s, V through products with the sparse matrix alone.

    Halko, Martinsson and Tropp, "Finding structure with randomness" (SIAM Review 2011).

    Args:
        matrix: (n_users, n_items).
        rank: directions that are kept, fewer where the matrix has fewer.
        seed: of the first basis.

    Returns:
        (n_users, rank), (rank,), (n_items, rank).
    """
    rng = np.random.default_rng(seed)
    turned = matrix.T.tocsr()
    size = min(rank + _EXTRA, *matrix.shape)
    basis = rng.standard_normal((matrix.shape[1], size)).astype(np.float32)
    for _ in range(_PASSES):
        basis, _ = np.linalg.qr(turned @ (matrix @ basis))
    outer, inner = np.linalg.qr(matrix @ basis)
    left, values, right = np.linalg.svd(inner)
    return (
        (outer @ left)[:, :rank].astype(np.float32),
        values[:rank].astype(np.float32),
        (basis @ right.T)[:, :rank].astype(np.float32),
    )


def low_pass(matrix: sparse.csr_matrix, rank: int, *, seed: int) -> tuple[Floats, Floats]:
    """Ideal low pass of the graph (Shen et al., "GF-CF", CIKM 2021, eq. 9): rated and scored.

    With V the leading right singular vectors of D_u^-1/2 X D_i^-1/2, scores are
    x D_i^-1/2 V V' D_i^1/2; a user's own degree scales all of their scores alike and is left out.

    Args:
        matrix: (n_users, n_items) weights.
        rank: directions.
        seed: of the randomised search for them.
    """
    degrees = np.maximum(np.asarray(matrix.sum(0)).ravel(), 1.0).astype(np.float32)[:, None]
    _, _, right = singular_vectors(normalised(matrix, 0.5, 0.5), rank, seed=seed)
    return degrees**-0.5 * right, degrees**0.5 * right


def implicit_als(
    matrix: sparse.csr_matrix,
    *,
    factors: int,
    alpha: float,
    strength: float,
    iterations: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Item vectors Y of ALS by the library `implicit`, and what each item adds to a user's vector.

    Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (ICDM 2008).
    The exact fold-in (eq. 4) solves a system per user; here all users share its matrix of equal
    confidence, Y (Y'Y + lambda I)^-1, which keeps the score linear in the history.

    Args:
        matrix: (n_users, n_items) weights.
        factors: dimensions.
        alpha: confidence of a weight of 1.
        strength: lambda.
        iterations: passes over users and items.
        seed: of the first vectors.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    # The library warns, rightly, where the BLAS inside its own loop has threads of its own; its
    # own are several because each solves users of its own, so their number changes no bit.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors,
            alpha=alpha,
            regularization=strength,
            iterations=iterations,
            random_state=seed,
            num_threads=0,
        )
        model.fit(matrix.astype(np.float32), show_progress=False)
    vectors = np.asarray(model.item_factors, np.float32)
    gram = vectors.T @ vectors + np.float32(strength) * np.eye(factors, dtype=np.float32)
    rated: Floats = np.linalg.solve(gram, vectors.T).T
    return np.ascontiguousarray(rated), vectors
