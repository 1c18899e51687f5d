"""Lists of nearest items against the dense Gram matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys_core.graph.components.item_to_item.neighbour_lists import (
    cooccurrences,
    cross_cooccurrences,
    with_kernel,
)


def drawn(seed: int, shape: tuple[int, int] = (40, 12), *, negative: bool = False):
    rng = np.random.default_rng(seed)
    values = rng.random(shape) * (rng.random(shape) < 0.3)
    if negative:
        values *= rng.choice([-1, 1], shape)
    return sparse.csr_matrix(values.astype(np.float32))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 14), st.booleans())
def test_the_lists_hold_the_nearest_entries_of_the_gram_matrix(seed, width, negative) -> None:
    matrix = drawn(seed, negative=negative)
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    lists = cooccurrences(matrix, width)
    length = np.sqrt(np.diag(gram))
    cosine = np.abs(gram) / np.maximum(np.outer(length, length), 1e-12)
    np.fill_diagonal(cosine, 0.0)
    for item in range(len(gram)):
        there = lists.items[item] >= 0
        found = lists.items[item][there]
        assert item not in found
        assert len(set(found)) == len(found)
        np.testing.assert_allclose(lists.gram[item][there], gram[item, found], rtol=1e-5, atol=1e-6)
        best = np.sort(cosine[item])[::-1][: len(found)]
        np.testing.assert_allclose(cosine[item, found], best, rtol=1e-4, atol=1e-6)
        assert len(found) == min(width, len(gram) - 1, (cosine[item] > 0).sum())


def test_as_matrix_is_the_gram_matrix_where_nothing_is_cut() -> None:
    matrix = drawn(3)
    gram = (matrix.T @ matrix).toarray()
    found = cooccurrences(matrix, 100).as_matrix().toarray()
    np.fill_diagonal(gram, 0.0)
    np.testing.assert_allclose(found, gram, rtol=1e-5, atol=1e-6)


def test_cross_lists_hold_the_product_of_both() -> None:
    past, future = drawn(1), drawn(2)
    lists = cross_cooccurrences(past, future, 100)
    product = (future.T @ past).toarray()
    np.fill_diagonal(product, 0.0)
    np.testing.assert_allclose(lists.as_matrix().toarray(), product, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(lists.diagonal, past.multiply(past).sum(0).A1, rtol=1e-5)


def test_a_kernel_makes_neighbours_of_items_that_nobody_rated_together() -> None:
    matrix = sparse.csr_matrix(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32))
    kernel = sparse.csr_matrix(np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]], np.float32))
    told = with_kernel(cooccurrences(matrix, 2), kernel, 4.0)
    assert told.items[0, 0] == 1
    assert told.gram[0, 0] == pytest.approx(4.0 * 0.5)
    np.testing.assert_allclose(told.diagonal, 1.0 + 4.0)
    assert (told.items[2] == -1).all()
