"""The items that go best with each item, with how often they do: sparse rows of a Gram matrix."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys_core.concurrency import in_threads
from recsys_core.graph.components.sparse_products import ranges_of, work_of_rows
from recsys_core.graph.interaction_graph import Floats

Numbers = npt.NDArray[np.int32]

_TINY: Final = 1e-12
"""Keeps the cosine of an item without ratings from being 0 / 0."""


@dataclass(frozen=True, kw_only=True)
class NeighbourLists:
    """The nearest items of each item, best first.

    Attributes:
        items: (n_items, width) numbers of the nearest items by size of the cosine; -1 fills up.
        gram: (n_items, width) entries of the Gram matrix there; 0 fills up.
        diagonal: (n_items,) of the Gram matrix.
    """

    items: Numbers
    gram: Floats
    diagonal: Floats

    def as_matrix(self) -> sparse.csr_matrix:
        """(n_items, n_items) what the lists hold, without the diagonal."""
        filled = self.items >= 0
        starts = np.append(0, np.cumsum(filled.sum(1)))
        shape = (len(self.items), len(self.diagonal))
        return sparse.csr_matrix((self.gram[filled], self.items[filled], starts), shape)


def cooccurrences(matrix: sparse.csr_matrix, width: int) -> NeighbourLists:
    """Nearest items by the cosine of the columns of `matrix`, and the entries of X'X there.

    The product is made in blocks of items, each cut to its nearest ones before the next.

    Args:
        matrix: X, (n_users, n_items); may hold negative numbers.
        width: neighbours kept per item.
    """
    rows = sparse.csr_matrix(matrix, dtype=np.float32)
    return _lists(rows, rows, width)


def cross_cooccurrences(
    matrix: sparse.csr_matrix, targets: sparse.csr_matrix, width: int
) -> NeighbourLists:
    """For each column of `targets` T the nearest columns of `matrix` S, and S'T there.

    Args:
        matrix: S, (n_rows, n_items).
        targets: T, (n_rows, n_items).
        width: neighbours kept per item.
    """
    return _lists(
        sparse.csr_matrix(matrix, dtype=np.float32),
        sparse.csr_matrix(targets, dtype=np.float32),
        width,
    )


def _lists(rows: sparse.csr_matrix, targets: sparse.csr_matrix, width: int) -> NeighbourLists:
    columns = targets.T.tocsr()
    n_items = rows.shape[1]
    diagonal = np.asarray(rows.multiply(rows).sum(0), np.float32).ravel()
    width = max(1, min(width, n_items - 1))
    lists = NeighbourLists(
        items=np.full((n_items, width), -1, np.int32),
        gram=np.zeros((n_items, width), np.float32),
        diagonal=diagonal,
    )

    def fill(some: tuple[int, int]) -> None:
        start, stop = some
        _fill(lists, columns[start:stop] @ rows, start)

    in_threads(fill, ranges_of(work_of_rows(columns, rows)))
    return lists


def with_kernel(lists: NeighbourLists, kernel: sparse.csr_matrix, factor: float) -> NeighbourLists:
    """Lists of G + factor K: items that are alike are taken to have gone together in advance.

    Args:
        lists: of G.
        kernel: K, (n_items, n_items), sparse and without its diagonal, which is 1 everywhere.
        factor: how many users two items that are the same have in common in advance.
    """
    told = sparse.csr_matrix(lists.as_matrix() + np.float32(factor) * kernel, dtype=np.float32)
    found = NeighbourLists(
        items=np.full_like(lists.items, -1),
        gram=np.zeros_like(lists.gram),
        diagonal=lists.diagonal + np.float32(factor),
    )
    _fill(found, told, 0)
    return found


def _fill(lists: NeighbourLists, block: sparse.csr_matrix, start: int) -> None:
    """Rows from `start` of the lists, from a block of the Gram matrix."""
    lengths, width = np.sqrt(lists.diagonal), lists.items.shape[1]
    for row in range(block.shape[0]):
        place = slice(block.indptr[row], block.indptr[row + 1])
        items, values = block.indices[place], block.data[place]
        near = np.abs(values) / (lengths[items] + _TINY)  # the row's own length orders nothing
        near[items == start + row] = 0.0
        if len(items) > width:
            best = np.argpartition(near, len(near) - width)[len(near) - width :]
            items, values, near = items[best], values[best], near[best]
        order = np.lexsort((items, -near))
        order = order[near[order] > 0]
        lists.items[start + row, : len(order)] = items[order]
        lists.gram[start + row, : len(order)] = values[order]
