"""How many people liked one title, and of them another one, too: counted, not estimated."""

from typing import Final

import numpy as np
from scipy import sparse

from recsys_core.graph.interaction_graph import Edges, Indices

_AT_ONCE: Final = 2_000
"""Causes whose counts with all items are held at once."""


def co_likes(
    likes: Edges, shape: tuple[int, int], causes: Indices, items: Indices
) -> tuple[Indices, Indices]:
    """Counts for pairs of a cause and an item.

    Args:
        likes: liked pairs.
        shape: numbers of users and items.
        causes: (n,) item numbers.
        items: (n,).

    Returns:
        (n,) people who liked the cause, and (n,) those of them who liked the item.
    """
    ones = np.ones(len(likes), np.int32)
    matrix = sparse.csr_matrix((ones, (likes.users, likes.items)), shape)
    matrix.data[:] = 1  # a repeated interaction is one person
    by_item = sparse.csr_matrix(matrix.T)
    people, both = np.diff(by_item.indptr)[causes], np.zeros(len(causes), np.int64)
    order = np.argsort(causes, kind="stable")
    distinct, starts = np.unique(causes[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    for at in range(0, len(distinct), _AT_ONCE):
        some = distinct[at : at + _AT_ONCE]
        counted = sparse.csr_matrix(by_item[some] @ matrix)
        for row, first, last in zip(
            range(len(some)), starts[at : at + _AT_ONCE], ends[at : at + _AT_ONCE], strict=True
        ):
            pairs = order[first:last]
            dense = np.zeros(shape[1], np.int64)
            here = slice(counted.indptr[row], counted.indptr[row + 1])
            dense[counted.indices[here]] = counted.data[here]
            both[pairs] = dense[items[pairs]]
    return people.astype(np.int64), both
