"""Local EASE against dense ridge regressions in float64."""

import numpy as np
import pytest
from scipy import sparse

from recsys_core.errors import ConfigError
from recsys_core.graph.components.item_to_item import local_ease
from recsys_core.graph.components.item_to_item.local_ease import local_ridge
from recsys_core.graph.components.item_to_item.neighbour_lists import NeighbourLists, cooccurrences


def drawn(seed: int = 0, shape: tuple[int, int] = (200, 15)):
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix((rng.random(shape) < 0.3).astype(np.float32))


def ridge(gram, item, others, strength):
    system = gram[np.ix_(others, others)] + strength * np.eye(len(others))
    return np.linalg.solve(system, gram[others, item])


@pytest.mark.parametrize("strength", [1.0, 30.0])
def test_with_all_other_items_it_is_ease(strength) -> None:
    matrix = drawn()
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    inverse = np.linalg.inv(gram + strength * np.eye(len(gram)))
    ease = -inverse / np.diag(inverse)
    np.fill_diagonal(ease, 0.0)
    found = local_ridge(cooccurrences(matrix, 100), [strength], size=100)[0]
    np.testing.assert_allclose(found.toarray(), ease, atol=2e-5)


def test_every_item_is_regressed_on_its_nearest_ones() -> None:
    matrix, size = drawn(1), 4
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    lists = cooccurrences(matrix, 14)
    small, large = local_ridge(lists, [5.0, 50.0], size=size)
    for item in range(len(gram)):
        near = lists.items[item, :size]
        for found, strength in ((small, 5.0), (large, 50.0)):
            column = found[:, [item]].toarray().ravel()
            np.testing.assert_allclose(column[near], ridge(gram, item, near, strength), atol=1e-5)
            assert np.count_nonzero(column) <= size
    assert np.abs(large).sum() < np.abs(small).sum()


@pytest.mark.parametrize("size", [3, 14])
def test_a_large_catalogue_gives_what_a_small_one_does(monkeypatch, size) -> None:
    lists = cooccurrences(drawn(2), 8)  # cut, so that some pairs are in one list, some in none
    looked_up = local_ridge(lists, [5.0], size=size)[0]
    monkeypatch.setattr(local_ease, "_DENSE", 0)
    assert (local_ridge(lists, [5.0], size=size)[0] != looked_up).nnz == 0


def test_an_item_without_ratings_has_no_row_and_no_column() -> None:
    matrix = sparse.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [0, 1, 0]], np.float32))
    found = local_ridge(cooccurrences(matrix, 2), [1.0], size=2)[0].toarray()
    assert not found[2].any()
    assert not found[:, 2].any()
    assert found[0, 1] > 0


def test_lists_that_are_cut_to_a_matrix_that_is_not_positive_give_finite_weights() -> None:
    lists = NeighbourLists(  # 1 and 2 each go fully with 0, and, as cut, oppose one another
        items=np.array([[1, 2], [2, 0], [1, 0]], np.int32),
        gram=np.array([[10, 10], [-10, 10], [-10, 10]], np.float32),
        diagonal=np.array([10, 1, 1], np.float32),
    )
    found = local_ridge(lists, [1.0], size=2)[0].toarray()
    assert np.isfinite(found).all()
    # The smallest eigenvalue is lambda = 1, so no solution is longer than the right-hand side.
    assert np.linalg.norm(found, axis=0).max() <= np.hypot(10, 10) + 1e-3


@pytest.mark.parametrize("strengths", [[], [0.0], [3.0, -1.0]])
def test_a_lambda_that_is_not_above_zero_is_refused(strengths) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        local_ridge(cooccurrences(drawn(), 5), strengths, size=5)
