"""Local EASE: every item regressed on its nearest items alone, so that the map is sparse.

EASE (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019) inverts the Gram
matrix of all items. Here the column of item a is the ridge regression of its ratings on those of
its m nearest items N by cosine,

    w_N = (G_NN + lambda I)^-1 G_Na,        G = X'X,

so the cost is linear in the items, m^3 / 3 for each. With m = n_items - 1 it is a ridge regression
on all other items, which is EASE.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from scipy import sparse

from recsys_core.concurrency import in_threads
from recsys_core.errors import ConfigError
from recsys_core.graph.components.item_to_item.neighbour_lists import NeighbourLists, Numbers
from recsys_core.graph.interaction_graph import Floats

_CELLS: Final = 4_000_000
"""Cells of the small Gram matrices solved in one batch (16 MB): bounds memory, changes nothing."""
_DENSE: Final = 4_096
"""Items up to which the lists are looked up in a dense matrix (64 MB): the same result, in half
of the time for a hundred neighbours."""


def local_ridge(
    targets: NeighbourLists,
    lambdas: Sequence[float],
    *,
    size: int,
    grams: NeighbourLists | None = None,
) -> list[sparse.csr_matrix]:
    """One map (n_items, n_items) per lambda; rows are rated items, columns scored ones.

    Args:
        targets: neighbours N of each item, and G_Na (of another Gram matrix, where a is another
            kind of column than N).
        lambdas: of the ridge, above 0.
        size: m, neighbours that every item is regressed on.
        grams: where G_NN is read from; by default the targets. A pair of which neither item has
            the other in its list counts as 0, so the lists should be longer than `size`.

    Raises:
        ConfigError: a lambda is not above 0.
    """
    if not lambdas or min(lambdas) <= 0:
        raise ConfigError(f"Local EASE: lambdas={lambdas}.", expected="numbers above 0.")
    n_items, source = len(targets.items), grams or targets
    dense = _dense_gram(source) if len(source.diagonal) <= _DENSE else None
    size = min(size, targets.items.shape[1])
    neighbours, gram = targets.items[:, :size], targets.gram[:, :size]
    solved = [np.zeros((n_items, size), np.float32) for _ in lambdas]

    def solve(some: tuple[int, int]) -> None:
        start, stop = some
        block = neighbours[start:stop]
        small = _small_grams(block, source) if dense is None else _looked_up(block, dense)
        right = torch.from_numpy(gram[start:stop, :, None].copy())
        for strength, out in zip(lambdas, solved, strict=True):
            out[start:stop] = _ridge(small, right, strength)

    batch = max(1, _CELLS // size**2)
    in_threads(solve, [(a, min(a + batch, n_items)) for a in range(0, n_items, batch)])
    filled = neighbours >= 0
    starts = np.append(0, np.cumsum(filled.sum(1)))
    shape = (n_items, n_items)
    return [
        sparse.csr_matrix((out[filled], neighbours[filled], starts), shape).T.tocsr()
        for out in solved
    ]


def _dense_gram(lists: NeighbourLists) -> torch.Tensor:
    """(n_items + 1, n_items + 1) what the lists hold, and zeros last for the -1 that fills up."""
    n_items = len(lists.diagonal)
    gram = np.zeros((n_items + 1, n_items + 1), np.float32)
    gram[:n_items, :n_items] = lists.as_matrix().toarray()
    gram[np.arange(n_items), np.arange(n_items)] = lists.diagonal
    found = torch.from_numpy(gram)
    return torch.where(found == 0, found.T, found)


def _looked_up(block: Numbers, dense: torch.Tensor) -> torch.Tensor:
    """As `_small_grams`, from the dense matrix."""
    size = len(dense)
    places = torch.from_numpy(block.astype(np.int64))
    places[places < 0] += size
    cells = places[:, :, None] * size + places[:, None, :]
    return dense.view(-1)[cells]


def _small_grams(block: Numbers, lists: NeighbourLists) -> torch.Tensor:
    """(b, m, m) Gram matrices of the neighbours in each row of `block` (b, m)."""
    size = block.shape[1]
    small = np.zeros((len(block), size, size + 1), np.float32)
    # Where each item stands among the neighbours; what stands nowhere is written to the last
    # column, which is thrown away. The last place stands for the -1 that fills lists up.
    place = np.full(len(lists.diagonal) + 1, size, np.int32)
    rows = (np.arange(size, dtype=np.int32) * (size + 1))[:, None]
    for number, row in enumerate(block):
        here = row[row >= 0]
        many = len(here)
        place[here] = np.arange(many, dtype=np.int32)
        flat = small[number].reshape(-1)
        flat[place[lists.items[here]] + rows[:many]] = lists.gram[here]
        flat[rows[:many, 0] + np.arange(many)] = lists.diagonal[here]
        place[here] = size
    found = torch.from_numpy(small)[:, :, :size]
    turned = found.transpose(1, 2)
    return torch.where(found == 0, turned, found)


def _ridge(small: torch.Tensor, right: torch.Tensor, strength: float) -> Floats:
    """(b, m) solutions of (G + strength I) w = right."""
    shifted = small.clone()
    shifted.diagonal(dim1=1, dim2=2).add_(strength)
    factor, failed = torch.linalg.cholesky_ex(shifted)
    found = torch.cholesky_solve(right, factor)[:, :, 0]
    bad = torch.nonzero(failed).squeeze(1)
    if len(bad):
        found[bad] = _made_positive(shifted[bad], right[bad], strength)
    solution: Floats = found.numpy()
    return solution


def _made_positive(shifted: torch.Tensor, right: torch.Tensor, strength: float) -> torch.Tensor:
    """Solutions where lists that were cut leave a matrix that is not positive definite.

    Its diagonal is raised until the smallest eigenvalue is `strength`, as it would be uncut.
    """
    lowest = torch.linalg.eigvalsh(shifted)[:, :1]
    raised = shifted.clone()
    raised.diagonal(dim1=1, dim2=2).add_((strength - lowest).clamp(min=0))
    solution: torch.Tensor = torch.linalg.solve(raised, right)
    return solution[:, :, 0]
