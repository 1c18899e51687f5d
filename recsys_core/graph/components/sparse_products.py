"""Products of sparse matrices that are cut to the best entries of each row as they are made."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys_core.concurrency import in_threads
from recsys_core.graph.interaction_graph import Indices

PRODUCTS: Final = 20_000_000
"""Multiplications per block: bounds the memory of a block to about 240 MB, changes no result."""


def work_of_rows(left: sparse.csr_matrix, right: sparse.csr_matrix) -> Indices:
    """(n_rows of left,) multiplications that each row of left @ right takes."""
    sizes = np.append(0, np.cumsum(np.diff(right.indptr).astype(np.int64)[left.indices]))
    work: Indices = np.diff(sizes[left.indptr])
    return work


def ranges_of(work: npt.NDArray[np.int64], most: int = PRODUCTS) -> list[tuple[int, int]]:
    """Consecutive ranges of rows whose work is about `most` each; a heavy row is one alone."""
    numbers = np.cumsum(work) // most
    edges = np.flatnonzero(np.diff(numbers)) + 1
    ends = [0, *edges.tolist(), len(work)]
    return [(start, stop) for start, stop in pairwise(ends) if start < stop]


def largest_of_rows(matrix: sparse.csr_matrix, most: int) -> sparse.csr_matrix:
    """The same with the `most` largest entries by size in every row."""
    matrix = sparse.csr_matrix(matrix)
    sizes = np.diff(matrix.indptr)
    if not (sizes > most).any():
        return matrix
    kept = np.ones(matrix.nnz, np.bool_)
    for start, stop in _long_rows(matrix.indptr, most):
        size = np.abs(matrix.data[start:stop])
        kept[start:stop] = False
        kept[start + np.argpartition(size, len(size) - most)[len(size) - most :]] = True
    starts = np.append(0, np.cumsum(np.minimum(sizes, most)))
    return sparse.csr_matrix((matrix.data[kept], matrix.indices[kept], starts), matrix.shape)


def _long_rows(starts: npt.NDArray[np.int32], most: int) -> Iterator[tuple[int, int]]:
    for row in np.flatnonzero(np.diff(starts) > most):
        yield int(starts[row]), int(starts[row + 1])


def cut_product(left: sparse.csr_matrix, right: sparse.csr_matrix, most: int) -> sparse.csr_matrix:
    """The product left @ right with the `most` largest entries of every row, never held in full."""

    def block(rows: tuple[int, int]) -> sparse.csr_matrix:
        start, stop = rows
        return largest_of_rows(left[start:stop] @ right, most)

    parts = in_threads(block, ranges_of(work_of_rows(left, right)))
    return sparse.vstack(parts, format="csr", dtype=np.float32)
