"""Low pass and ALS against dense decompositions."""

import numpy as np
import pytest
from scipy import sparse

from recsys_core.graph.components.item_to_item.low_rank import (
    implicit_als,
    low_pass,
    singular_vectors,
)


def drawn(shape=(60, 30), seed=0):
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix((rng.random(shape) < 0.3).astype(np.float32))


def test_singular_vectors_are_those_of_lapack() -> None:
    matrix = drawn()
    left, values, right = singular_vectors(matrix, 5, seed=0)
    u, s, vt = np.linalg.svd(matrix.toarray().astype(np.float64))
    np.testing.assert_allclose(values, s[:5], rtol=1e-3)
    best = (u[:, :5] * s[:5]) @ vt[:5]
    np.testing.assert_allclose((left * values) @ right.T, best, atol=2e-2)
    np.testing.assert_allclose(right.T @ right, np.eye(5), atol=1e-5)


def test_more_directions_than_the_matrix_has_are_not_made_up() -> None:
    _, values, right = singular_vectors(drawn((6, 30)), 100, seed=0)
    assert len(values) == 6
    assert right.shape == (30, 6)


def test_the_low_pass_of_full_rank_gives_the_history_back() -> None:
    matrix = drawn((60, 12))
    rated, scored = low_pass(matrix, 12, seed=0)
    np.testing.assert_allclose(matrix @ rated @ scored.T, matrix.toarray(), atol=1e-4)


def test_als_prefers_the_items_of_the_users_own_group() -> None:
    rng = np.random.default_rng(0)
    group = np.arange(40) % 2
    likes = (rng.random((40, 20)) < 0.5) & (group[:, None] == np.arange(20) // 10)
    matrix = sparse.csr_matrix(likes.astype(np.float32))
    rated, scored = implicit_als(matrix, factors=4, alpha=5.0, strength=1.0, iterations=10, seed=0)
    scores = matrix @ rated @ scored.T
    own = scores[:, :10].mean(1) > scores[:, 10:].mean(1)
    assert (own == (group == 0)).all()
    again, _ = implicit_als(matrix, factors=4, alpha=5.0, strength=1.0, iterations=10, seed=0)
    np.testing.assert_array_equal(rated, again)


@pytest.mark.parametrize("seed", [0, 1])
def test_als_folds_in_by_the_shared_least_squares(seed) -> None:
    matrix = drawn(seed=seed)
    rated, scored = implicit_als(
        matrix, factors=8, alpha=1.0, strength=2.0, iterations=5, seed=seed
    )
    items = scored.astype(np.float64)
    system = items.T @ items + 2.0 * np.eye(8)
    expected = np.linalg.solve(system, items.T @ matrix.toarray().T).T
    np.testing.assert_allclose(matrix @ rated, expected, rtol=1e-3, atol=1e-4)
