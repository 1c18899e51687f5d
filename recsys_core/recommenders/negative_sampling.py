"""Negative items for BPR, drawn without a single rejection."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

Ints = npt.NDArray[np.int64]


class Negatives:
    """Draws items uniformly among those a user has no entry for.

    With a user's columns c_0 < c_1 < ..., the r-th free column is r plus the number of j with
    c_j - j <= r. A search over all users' c_j - j at once finds it, so the draw is exact however
    many items a user has.
    """

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        matrix = matrix.sorted_indices()
        self.n_items = matrix.shape[1]
        self._start = matrix.indptr.astype(np.int64)
        taken = np.diff(self._start)
        self.free: Ints = self.n_items - taken
        """Items without an entry, (n_users,)."""
        rows = np.repeat(np.arange(matrix.shape[0]), taken)
        place = np.arange(matrix.nnz) - self._start[rows]
        self._keys = rows * (self.n_items + 1) + matrix.indices - place

    def draw(self, users: Ints, rng: np.random.Generator) -> Ints:
        """One negative column for each of `users`, (n,); each must have a free item."""
        nth = rng.integers(0, self.free[users])
        before = np.searchsorted(self._keys, users * (self.n_items + 1) + nth, side="right")
        drawn: Ints = nth + before - self._start[users]
        return drawn
