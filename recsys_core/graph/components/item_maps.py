"""What a fitted component is: a linear map from a user's history to scores of items.

Each of them scores blocks of users, so that no users x items matrix is ever held.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from recsys_core.graph.components.histories import HistoryInput, InputRows
from recsys_core.graph.interaction_graph import Floats, Indices


class Scorer(Protocol):
    """Scores users by what they rated."""

    def scores(self, rows: InputRows, users: Indices) -> Floats:
        """(b, n_items) scores of the users (b,), an array that the caller may change."""


@dataclass(frozen=True, kw_only=True)
class SparseMap:
    """Scores = history rows @ weights.

    Attributes:
        input: what the rows hold.
        weights: (n_items, n_items) float32; row = rated item, column = scored item.
    """

    input: HistoryInput
    weights: sparse.csr_matrix

    def scores(self, rows: InputRows, users: Indices) -> Floats:
        """As `Scorer.scores`."""
        product = rows.matrix(self.input)[users] @ self.weights
        dense: Floats = product.toarray().astype(np.float32, copy=False)
        return dense


@dataclass(frozen=True, kw_only=True)
class LowRankMap:
    """Scores = (history rows @ rated) @ scored'.

    Attributes:
        input: what the rows hold.
        rated: (n_items, d) what an item in the history adds to the user's vector.
        scored: (n_items, d) vectors of the items that are scored.
    """

    input: HistoryInput
    rated: Floats
    scored: Floats

    def scores(self, rows: InputRows, users: Indices) -> Floats:
        """As `Scorer.scores`."""
        vectors = np.asarray(rows.matrix(self.input)[users] @ self.rated, np.float32)
        dense: Floats = vectors @ self.scored.T
        return dense


@dataclass(frozen=True, kw_only=True)
class ItemPrior:
    """The same scores for every user.

    Attributes:
        values: (n_items,).
    """

    values: Floats

    def scores(self, rows: InputRows, users: Indices) -> Floats:  # noqa: ARG002
        """As `Scorer.scores`."""
        return np.repeat(self.values[None, :], len(users), axis=0)


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """Scores of a model from outside, a network's for example: dot products of its vectors.

    Attributes:
        users: (n_users, d), a row per user of the histories.
        items: (n_items, d).
    """

    users: Floats
    items: Floats

    def scores(self, rows: InputRows, users: Indices) -> Floats:  # noqa: ARG002
        """As `Scorer.scores`."""
        dense: Floats = self.users[users] @ self.items.T
        return dense


FittedMap = SparseMap | LowRankMap | ItemPrior
"""A component of the served model; `Vectors` come from outside."""


def normalised(matrix: sparse.csr_matrix, users: float, items: float) -> sparse.csr_matrix:
    """D_u^-users X D_i^-items, with the sums of rows and of columns, at least 1, as degrees."""
    of_users = np.maximum(np.asarray(abs(matrix).sum(1)).ravel(), 1.0)
    of_items = np.maximum(np.asarray(abs(matrix).sum(0)).ravel(), 1.0)
    left = sparse.diags((of_users**-users).astype(np.float32))
    right = sparse.diags((of_items**-items).astype(np.float32))
    return sparse.csr_matrix(left @ matrix @ right, dtype=np.float32)
