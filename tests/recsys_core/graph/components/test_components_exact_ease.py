"""Exact EASE, by items and by users, against the dense inverse in float64."""

import numpy as np
import pytest
from scipy import sparse

from recsys_core.errors import TrainingError
from recsys_core.graph.components.item_to_item import exact_ease as module
from recsys_core.graph.components.item_to_item.exact_ease import exact_ease, inverse_of


def drawn(shape: tuple[int, int], seed: int = 0):
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix((rng.random(shape) < 0.3).astype(np.float32))


def reference(matrix, strength, kernel=0.0):
    dense = matrix.toarray().astype(np.float64)
    inverse = np.linalg.inv(dense.T @ dense + kernel + strength * np.eye(dense.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


@pytest.mark.parametrize("shape", [(80, 30), (20, 60)])  # the inverse of items, and that of users
def test_it_is_ease(shape, monkeypatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_CELLS", 7 * shape[1])  # several blocks of rows
    matrix = drawn(shape)
    found = exact_ease(matrix, 10.0, most=1000)
    np.testing.assert_allclose(found.toarray(), reference(matrix, 10.0), atol=1e-5)


def test_a_kernel_is_added_to_the_gram_matrix() -> None:
    matrix, rng = drawn((20, 25)), np.random.default_rng(1)
    features = rng.standard_normal((25, 3))
    kernel = (features @ features.T).astype(np.float32)
    found = exact_ease(matrix, 5.0, most=1000, kernel=kernel)
    np.testing.assert_allclose(found.toarray(), reference(matrix, 5.0, kernel), atol=1e-4)


def test_the_largest_entries_of_a_row_are_kept() -> None:
    matrix = drawn((80, 30))
    whole, cut = reference(matrix, 10.0), exact_ease(matrix, 10.0, most=5).toarray()
    assert ((cut != 0).sum(1) == 5).all()
    smallest_kept = np.where(cut != 0, np.abs(whole), np.inf).min(1)
    largest_left = np.where(cut == 0, np.abs(whole), 0.0).max(1)
    assert (smallest_kept >= largest_left).all()


def test_the_inverse_is_whole_beyond_one_block_of_the_mirror() -> None:
    rng = np.random.default_rng(2)
    half = rng.standard_normal((1200, 1100))
    gram = (half.T @ half).astype(np.float32)
    found = inverse_of(np.asfortranarray(gram), 100.0)
    expected = np.linalg.inv(gram.astype(np.float64) + 100.0 * np.eye(1100))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(found, found.T)


def test_a_matrix_that_is_not_positive_is_refused() -> None:
    with pytest.raises(TrainingError, match="raise the regularisation"):
        inverse_of(np.asfortranarray(-np.eye(3, dtype=np.float32)), 0.5)
