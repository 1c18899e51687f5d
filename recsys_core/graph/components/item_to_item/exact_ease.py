"""EASE without a dense item-to-item matrix that outlives it: rows are cut as they are made.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019): B = I - P / diag(P),
P = (X'X + lambda I)^-1. Where there are fewer users than items, P is made of the inverse of users
by users (Woodbury): P = (I - X' K X) / lambda, K = (X X' + lambda I)^-1.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy import sparse

from recsys_core.graph.interaction_graph import Floats
from recsys_core.recommenders.ease import gram_of, inverse_of

_Rows = Callable[[int, int], Floats]
"""Rows [start, stop) of the inverse."""
_BLOCK_CELLS: Final = 8_000_000
"""Cells of a block of rows (32 MB, and twice that for their order): bounds memory, changes
nothing."""


def exact_ease(
    matrix: sparse.csr_matrix, strength: float, most: int, kernel: Floats | None = None
) -> sparse.csr_matrix:
    """B (n_items, n_items) of EASE, the `most` largest entries of every row.

    Args:
        matrix: X, (n_users, n_items).
        strength: lambda, above 0.
        most: entries kept per row.
        kernel: (n_items, n_items) added to the Gram matrix: what items that are alike are taken
            to have in common in advance. It needs the inverse of items by items.
    """
    rows = sparse.csr_matrix(matrix, dtype=np.float32)
    if kernel is None and rows.shape[0] < rows.shape[1]:
        return _by_users(rows, strength, most)
    gram = gram_of(rows)
    if kernel is not None:
        gram += kernel
    inverse = inverse_of(gram, strength)
    scale = np.diag(inverse).copy()
    return _cut_rows(lambda start, stop: inverse[start:stop], scale, most)


def smaller_side(shape: tuple[int, int], *, with_kernel: bool = False) -> int:
    """Rows of the matrix that `exact_ease` inverts, which takes 12 bytes times their square."""
    return shape[1] if with_kernel else min(shape)


def _by_users(rows: sparse.csr_matrix, strength: float, most: int) -> sparse.csr_matrix:
    among_users = inverse_of(gram_of(rows.T), strength)
    right = np.asarray(among_users @ rows, np.float32)  # K X
    columns = rows.T.tocsr()
    explained = np.asarray(columns.multiply(right.T).sum(1)).ravel()
    scale = ((1.0 - explained) / strength).astype(np.float32)

    def inverse(start: int, stop: int) -> Floats:
        block: Floats = -(columns[start:stop] @ right) / np.float32(strength)
        return block

    return _cut_rows(inverse, scale, most)


def _cut_rows(inverse: _Rows, scale: Floats, most: int) -> sparse.csr_matrix:
    """Rows of B from rows of the inverse P and its diagonal."""
    n_items, parts = len(scale), []
    step = max(1, _BLOCK_CELLS // n_items)
    for start in range(0, n_items, step):
        stop = min(start + step, n_items)
        block = inverse(start, stop) / -scale
        block[np.arange(stop - start), np.arange(start, stop)] = 0.0
        parts.append(_largest(block, most))
    return sparse.vstack(parts, format="csr", dtype=np.float32)


def _largest(block: Floats, most: int) -> sparse.csr_matrix:
    """The `most` largest entries by size in every row of a dense block."""
    n_rows, n_items = block.shape
    if most >= n_items:
        return sparse.csr_matrix(block)
    kept = np.argpartition(np.abs(block), n_items - most, axis=1)[:, n_items - most :]
    kept.sort(axis=1)
    values = np.take_along_axis(block, kept, axis=1)
    starts = np.arange(n_rows + 1) * most
    return sparse.csr_matrix((values.ravel(), kept.ravel(), starts), block.shape)
