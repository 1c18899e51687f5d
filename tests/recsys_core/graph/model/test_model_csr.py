"""Sparse products and sums against dense ones; a place may be there twice."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.graph.model.csr import CSR, index_type
from recsys_core.graph.model.sparse_ops import column_sums, product, row_sums, sampled

ROWS, COLUMNS, WIDTH = 4, 5, 3
places = st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, COLUMNS - 1)))


def made(pairs: list[tuple[int, int]]) -> tuple[CSR, torch.Tensor, torch.Tensor]:
    """The csr, values at its places, and the same as a dense matrix."""
    ordered = sorted(pairs, key=lambda pair: pair[0])
    ends = torch.tensor(ordered, dtype=torch.long).reshape(-1, 2)
    values = torch.arange(1.0, len(pairs) + 1, dtype=torch.float64)
    dense = torch.zeros(ROWS, COLUMNS, dtype=torch.float64)
    dense.index_put_((ends[:, 0], ends[:, 1]), values, accumulate=True)
    return CSR.of_sorted(ends[:, 0], ends[:, 1], (ROWS, COLUMNS)), values, dense


@given(places)
def test_products_and_sums_equal_dense_ones(pairs: list[tuple[int, int]]) -> None:
    csr, values, dense = made(pairs)
    left, right = (torch.randn(n, WIDTH, dtype=torch.float64) for n in (ROWS, COLUMNS))
    assert torch.allclose(product(csr, values, right), dense @ right)
    wanted = (left[csr.rows] * right[csr.columns]).sum(1)
    assert torch.allclose(sampled(csr, left, right), wanted)
    of_both = torch.stack([values, -values], 1)
    assert torch.allclose(row_sums(csr, of_both)[:, 0], dense.sum(1))
    assert torch.allclose(column_sums(csr, of_both)[:, 1], -dense.sum(0))


@given(places)
def test_the_transpose_has_the_same_values_elsewhere(pairs: list[tuple[int, int]]) -> None:
    csr, values, dense = made(pairs)
    turned, order = csr.transposed
    assert turned.shape == (COLUMNS, ROWS)
    identity = torch.eye(ROWS, dtype=torch.float64)
    assert torch.allclose(product(turned, values[order.long()], identity), dense.T)


@pytest.mark.parametrize(("limit", "kind"), [(5, torch.int32), (2**31, torch.int64)])
def test_numbers_take_32_bits_where_these_suffice(limit: int, kind: torch.dtype) -> None:
    assert index_type(limit) is kind
