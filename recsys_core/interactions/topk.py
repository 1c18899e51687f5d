"""Top-k with ties: equal scores rank the lower column first, on every machine."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import CANDIDATES, ITEM, RANK, SCORE, USER
from recsys_core.errors import TrainingError

if TYPE_CHECKING:
    import torch

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_CELLS: Final = 8_000_000
"""Scores, users x items, held at once by default."""


def top_k(
    user_vectors: Floats,
    item_vectors: Floats,
    seen_users: Indices,
    seen_items: Indices,
    k: int,
    batch: int | None = None,
    *,
    added: Callable[[Indices], Floats] | None = None,
    barred: Indices | None = None,
) -> tuple[Indices, Floats]:
    """The k items with the highest score per user, seen pairs left out.

    Equal scores rank the lower item number first.

    Args:
        user_vectors: (n_users, d).
        item_vectors: (n_items, d).
        seen_users: (n,) users of the pairs to leave out.
        seen_items: (n,) their items.
        k: length of each list.
        batch: users scored at once; by default as many as 8 million scores allow.
        added: users (b,) -> scores (b, n_items) that are added to their dot products.
        barred: (m,) items that are in no list.

    Returns:
        (items, scores), each (n_users, k). Where fewer than k items are left, the rest of the row
        is -1 and minus infinity.

    Raises:
        TrainingError: a vector holds NaN or infinity.
    """
    import torch

    users, items = torch.tensor(user_vectors), torch.tensor(item_vectors)
    if not (users.isfinite().all() and items.isfinite().all()):
        raise TrainingError(
            "Node vectors hold NaN or infinity.", expected="finite vectors from the training step."
        )
    n_users, n_items = len(users), len(items)
    indices = np.full((n_users, k), -1, np.int64)
    scores = np.full((n_users, k), -np.inf, np.float32)
    order = np.argsort(seen_users, kind="stable")
    seen = torch.from_numpy(np.stack([seen_users[order], seen_items[order]]))
    step = batch or max(1, _CELLS // max(n_items, 1))
    width = min(k, n_items)
    for start in range(0, n_users if width else 0, step):
        stop = min(start + step, n_users)
        low, high = np.searchsorted(seen_users[order], [start, stop])
        block = users[start:stop] @ items.T
        if added is not None:
            block += torch.from_numpy(added(np.arange(start, stop)))
        block[seen[0, low:high] - start, seen[1, low:high]] = -torch.inf
        if barred is not None:
            block[:, torch.from_numpy(barred)] = -torch.inf
        best, chosen = best_columns(block, width)
        chosen[best == -torch.inf] = -1
        indices[start:stop, :width], scores[start:stop, :width] = chosen.numpy(), best.numpy()
    return indices, scores


def best_columns(scores: "torch.Tensor", k: int) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Scores and columns of the top k of each row, ties by column.

    `torch.topk` alone leaves the order of ties open.
    """
    best, chosen = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    # Rows whose last score is shared with a column that was left out are chosen anew, in full.
    tied = (best[:, k:] == best[:, k - 1 : k]).any(1)
    best, chosen = best[:, :k], chosen[:, :k]
    if tied.any():
        full, columns = scores[tied].sort(dim=1, descending=True, stable=True)
        best[tied], chosen[tied] = full[:, :k], columns[:, :k]
    chosen, by_column = chosen.sort(dim=1)
    best, by_score = best.gather(1, by_column).sort(dim=1, descending=True, stable=True)
    return best, chosen.gather(1, by_score)


def top_columns(scores: npt.NDArray[np.floating], k: int) -> Indices:
    """Columns of the k best scores of each row, best first, (n, k or fewer)."""
    import torch

    k = min(k, scores.shape[1])
    if k < 1:
        return np.empty((len(scores), 0), np.int64)
    _, columns = best_columns(torch.from_numpy(np.ascontiguousarray(scores)), k)
    found: Indices = columns.numpy()
    return found


def ranked_lists(
    users: pl.Series,
    items: pl.Series,
    indices: Indices,
    scores: npt.NDArray[np.floating],
) -> pl.DataFrame:
    """Lists of items as `columns.CANDIDATES`, ranks from 1.

    Args:
        users: (n,) ids of the rows.
        items: ids of the columns.
        indices: (n, k) columns, best first; -1 where a list is shorter.
        scores: (n, k).
    """
    rows, places = np.nonzero(indices >= 0)
    return pl.DataFrame(
        {
            USER: users.gather(rows),
            ITEM: items.gather(indices[rows, places]),
            RANK: pl.Series(places + 1, dtype=CANDIDATES[RANK]),
            SCORE: pl.Series(scores[rows, places], dtype=CANDIDATES[SCORE]),
        }
    )
