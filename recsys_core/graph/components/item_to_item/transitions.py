"""What follows what: directed item-to-item maps from the order of each user's ratings."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import sparse

from recsys_core.errors import DataError
from recsys_core.graph.components.histories import Histories
from recsys_core.graph.components.item_to_item.local_ease import local_ridge
from recsys_core.graph.components.item_to_item.neighbour_lists import (
    cooccurrences,
    cross_cooccurrences,
)
from recsys_core.graph.interaction_graph import Floats, Indices

_NEGLIGIBLE: Final = 0.01
"""A place whose weight in the past or the future of a cut is below this is left out."""


def directed_transitions(
    histories: Histories, *, steps: int, decay: float, backward: float, power: float
) -> sparse.csr_matrix:
    """Map (n_items, n_items): how often the scored item came within a few places of the rated one.

    An item `s` places later counts decay^(s - 1), one as many places earlier `backward` of that;
    the row of a rated item is divided by its number of ratings to the `power`.

    Args:
        histories: rated pairs with an order; what weighs nothing (disliked) is left out.
        steps: places that are looked ahead.
        decay: factor per place.
        backward: share of a transition that counts in the other direction.
        power: of the rated item's count.
    """
    users, items = _in_order(histories)
    rows, columns, values = [], [], []
    for step in range(1, min(steps, len(users) - 1) + 1):
        same = users[step:] == users[:-step]
        before, after = items[:-step][same], items[step:][same]
        weight = np.float32(decay ** (step - 1))
        rows += [before, after]
        columns += [after, before]
        values += [np.full(len(before), weight), np.full(len(before), weight * backward)]
    n_items = histories.shape[1]
    if not rows:
        return sparse.csr_matrix((n_items, n_items), dtype=np.float32)
    cells = np.concatenate(rows), np.concatenate(columns)
    found = sparse.csr_matrix((np.concatenate(values), cells), (n_items, n_items), dtype=np.float32)
    found.setdiag(0.0)
    found.eliminate_zeros()
    counts = np.maximum(np.bincount(items, minlength=n_items), 1.0)
    return sparse.csr_matrix(sparse.diags((counts**-power).astype(np.float32)) @ found)


def past_to_future(
    histories: Histories, lambdas: Sequence[float], *, decay: float, size: int, width: int
) -> list[sparse.csr_matrix]:
    """Ridge regression of what came next on what came before, on the nearest items of each.

    SLIT (Choi et al., "Session-aware Linear Item-Item Models", WWW 2021, eq. 12):
    B = (S'S + lambda I)^-1 S'T, where each cut of a user's sequence has a row of S with the items
    before it and one of T with those after it, both fading by `decay` per place. Here the column
    of an item is solved on the items of whose past it is most likely the future.

    Args:
        histories: rated pairs with an order; what weighs nothing (disliked) is left out.
        lambdas: of the ridge, above 0; a map is returned for each.
        decay: factor per place away from the cut.
        size: items that each is regressed on.
        width: entries of S'S that are known per item.
    """
    past, future = past_and_future(histories, decay)
    targets = cross_cooccurrences(past, future, size)
    grams = cooccurrences(past, width)
    return local_ridge(targets, lambdas, size=size, grams=grams)


def past_and_future(
    histories: Histories, decay: float
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """S and T, (n_pairs, n_items) each: row t is the cut before the t-th pair by user and order."""
    users, items = _in_order(histories)
    number = np.arange(len(users))
    first = np.ones(len(users), np.bool_)
    first[1:] = users[1:] != users[:-1]
    reach = len(users) if decay >= 1 else int(np.log(_NEGLIGIBLE) / np.log(decay)) + 1
    past, future = _Cells(), _Cells()
    for age in range(min(reach, len(users))):
        weight = decay**age
        same = users[age:] == users[: len(users) - age]
        cuts = number[: len(users) - age][same]
        later = ~first[cuts]
        future.add(cuts[later], items[age:][same][later], weight)
        same = users[age + 1 :] == users[: len(users) - age - 1]
        past.add(number[age + 1 :][same], items[: len(users) - age - 1][same], weight)
    shape = (len(users), histories.shape[1])
    return past.matrix(shape), future.matrix(shape)


class _Cells:
    """Cells of a sparse matrix, gathered weight by weight."""

    def __init__(self) -> None:
        self.rows: list[Indices] = []
        self.columns: list[Indices] = []
        self.values: list[Floats] = []

    def add(self, rows: Indices, columns: Indices, weight: float) -> None:
        self.rows.append(rows)
        self.columns.append(columns)
        self.values.append(np.full(len(rows), weight, np.float32))

    def matrix(self, shape: tuple[int, int]) -> sparse.csr_matrix:
        if not self.rows:
            return sparse.csr_matrix(shape, dtype=np.float32)
        cells = np.concatenate(self.rows), np.concatenate(self.columns)
        return sparse.csr_matrix((np.concatenate(self.values), cells), shape)


def _in_order(histories: Histories) -> tuple[Indices, Indices]:
    """Users and items of the pairs that weigh something, by user and order."""
    if histories.order is None:
        raise DataError(
            "Transitions between items need the order of each user's ratings.",
            fix="give a column of timestamps or positions, or leave transitions out.",
        )
    kept = histories.where(histories.weights > 0)
    order = kept.order
    assert order is not None  # noqa: S101 - `where` keeps what is there
    by_order = np.lexsort((np.arange(len(kept)), order, kept.users))
    return kept.users[by_order], kept.items[by_order]
