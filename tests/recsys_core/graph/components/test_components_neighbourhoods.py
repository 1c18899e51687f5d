"""Maps that are read off ratings or features, against their formulas."""

import numpy as np
import pytest
from scipy import sparse

from recsys_core.graph.components.item_to_item import neighbourhoods as module
from recsys_core.graph.components.item_to_item.neighbourhoods import (
    feature_neighbours,
    one_hop,
    user_knn,
)


@pytest.fixture
def matrix():
    rng = np.random.default_rng(0)
    return sparse.csr_matrix((rng.random((30, 12)) < 0.3).astype(np.float32))


def edges(matrix):
    dense = matrix.toarray().astype(np.float64)
    users, items = np.maximum(dense.sum(1), 1), np.maximum(dense.sum(0), 1)
    return dense / np.sqrt(users)[:, None] / np.sqrt(items)


def test_user_knn_gives_what_near_users_rated(matrix) -> None:
    normal, dense = edges(matrix), matrix.toarray().astype(np.float64)
    # What a user's row is multiplied by: the same but for the user's own degree, which orders
    # no item before another.
    degrees = np.sqrt(np.maximum(dense.sum(1), 1))[:, None]
    expected = degrees * (normal @ normal.T @ dense)
    np.testing.assert_allclose(dense @ user_knn(matrix, 100).toarray(), expected, rtol=1e-4)


def test_one_hop_is_the_product_of_normalised_edges(matrix) -> None:
    expected = edges(matrix).T @ edges(matrix)
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(one_hop(matrix, 100).toarray(), expected, atol=1e-6)


def test_rows_are_cut_to_their_largest_entries(matrix) -> None:
    whole, cut = user_knn(matrix, 100), user_knn(matrix, 3)
    assert np.diff(cut.indptr).max() == 3
    np.testing.assert_allclose(
        np.sort(whole.toarray(), axis=1)[:, -3:].sum(1), cut.toarray().sum(1), rtol=1e-5
    )


def test_feature_neighbours_are_the_nearest_by_cosine(monkeypatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_CELLS", 40)  # several blocks
    rng = np.random.default_rng(1)
    features = rng.standard_normal((20, 4)).astype(np.float32)
    features[5] = 0.0
    found = feature_neighbours(features, 3).toarray()
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    cosine = np.maximum(unit @ unit.T, 0.0)
    np.fill_diagonal(cosine, 0.0)
    expected = np.where(cosine >= np.sort(cosine, axis=1)[:, -3:-2], cosine, 0.0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not found[5].any()
    assert not found[:, 5].any()
