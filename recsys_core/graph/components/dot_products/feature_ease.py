"""EASE with side information: a Gaussian kernel of item features is added to the Gram matrix.

EASE (Steck, WWW 2019) regresses every item on all others. Adding likeness x rbf(f_i, f_j) to
G = X'X is adding pseudo co-occurrences of items with similar features, as Jeunen et al. do with
feature rows ("Closed-form models for collaborative filtering with side-information", RecSys 2020).
Rare items borrow from similar ones, and items without ratings get scores.

The scores X B are kept as a dot product: with V the leading right singular vectors of X B, the
score of item i for user u is (x_u B V) . V_i. Lambda, the kernel and the rank are chosen on
validation (`FeatureEase.grid`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from recsys_core.graph.components.dot_products.fitter import Component, vectors_of
from recsys_core.graph.components.effort import BUDGETS
from recsys_core.graph.components.histories import InputRows
from recsys_core.graph.components.item_maps import Scorer
from recsys_core.graph.components.settings import Ladder, Settings
from recsys_core.graph.interaction_graph import Edges, Floats, Indices
from recsys_core.graph.training.spec import TrainingSpec
from recsys_core.memory import memory_limit
from recsys_core.recommenders.ease import inverse_of

_BYTES: Final = 16
"""Per cell of items x items: the Gram matrix, the cosines, and a product of either."""
_MOST_DIRECTIONS: Final = 512
"""Singular vectors at most: each is a number per user and item that is served."""
_FEW_DIRECTIONS: Final = 64
"""Directions that a small catalogue may have, whatever share of its items that is."""
_OVERSAMPLED: Final = 10
_ITERATIONS: Final = 4
ALL: Final = 0.0
"""Rank of a map that is not cut to its leading directions."""
_LAMBDA: Final = Ladder(values=(12.5, 50.0, 200.0, 800.0, 3200.0), geometric=True)
"""Lambda of the ridge, in users: added to the diagonal of the Gram matrix."""
_LIKENESS: Final = Ladder(values=(0.0625, 0.25, 1.0, 4.0, 16.0), geometric=True)
"""Pseudo co-occurrences of two items with equal features, as multiples of lambda."""
_SHARPNESS: Final = Ladder(values=(1.5, 3.0, 6.0), geometric=True)
"""Of the kernel e^(sharpness x (cosine - 1)); with 3, features with a cosine of .7 have .41."""
_RANKS: Final = (0.25, 0.125, 0.0625)
"""Directions that are tried, as shares of the items."""


def rows_of(edges: Edges, values: Floats, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Sparse matrix of `shape` (n_users, n_items) with one value (n_edges,) per edge."""
    cells = edges.users, edges.items
    return sparse.csr_matrix((values.astype(np.float32), cells), shape=shape)


@dataclass(frozen=True, kw_only=True)
class FeatureEase:
    """The regression of a matrix for any settings; what they share is computed once.

    Attributes:
        matrix: (n_users, n_columns) what users did; columns after the items predict and are not
            predicted.
        features: (n_items, d); an item of zeros has no similar items.
        seed: of the randomised SVD.
        also: (n, n_columns) further training rows, which are not scored.
    """

    matrix: sparse.csr_matrix
    features: Floats
    seed: int
    also: sparse.csr_matrix | None = None
    _last: dict[tuple[tuple[str, float], ...], "Factors"] = field(default_factory=dict, repr=False)

    @property
    def grid(self) -> Mapping[str, Ladder]:
        """What may be tried."""
        largest = self.most_directions
        ranks = [max(1, round(share * len(self.features))) for share in _RANKS]
        some = sorted({float(min(rank, largest)) for rank in (*ranks, largest)})
        kernel = {"likeness": _LIKENESS, "sharpness": _SHARPNESS} if self._described.size else {}
        return {
            "lambda": _LAMBDA,
            **kernel,
            "rank": Ladder(values=(ALL, *some), cheap=True, provisional=True),
        }

    @property
    def most_directions(self) -> int:
        """Directions at most."""
        n_items = len(self.features)
        share = max(_FEW_DIRECTIONS, round(_RANKS[0] * n_items))
        return max(1, min(_MOST_DIRECTIONS, share, int(self.matrix.shape[0]), n_items))

    def slopes(self, settings: Settings) -> Floats:
        """B (n_columns, n_items)."""
        gram = self._gram.copy(order="F")
        if "likeness" in settings:
            kernel = np.exp((self._cosines - 1) * np.float32(settings["sharpness"]))
            kernel *= np.float32(settings["likeness"] * settings["lambda"])
            gram[np.ix_(self._described, self._described)] += kernel
        # One thread: with several, the last bits depend on how many there are.
        with threadpool_limits(1):
            inverse = inverse_of(gram, settings["lambda"])
        inverse /= -np.diag(inverse)
        np.fill_diagonal(inverse, 0.0)
        return inverse[:, : len(self.features)]

    def factors(self, settings: Settings) -> "Factors":
        """The map, cut to its leading directions; those of one regression are found once."""
        rank = int(settings["rank"]) or self.most_directions
        key = tuple(sorted((name, value) for name, value in settings.items() if name != "rank"))
        if key not in self._last:
            self._last.clear()
            with threadpool_limits(1):
                self._last[key] = self._factors(self.slopes(settings))
        found = self._last[key]
        return Factors(rated=found.rated[:, :rank], items=found.items[:, :rank])

    def _factors(self, slopes: Floats) -> "Factors":
        """By randomised subspace iteration (Halko, Martinsson and Tropp, 2011)."""
        matrix, rank = self.matrix, self.most_directions
        size = min(rank + _OVERSAMPLED, *matrix.shape, slopes.shape[1])
        rng = np.random.default_rng(self.seed)
        basis = rng.standard_normal((slopes.shape[1], size), dtype=np.float32)
        for _ in range(_ITERATIONS):
            basis = np.linalg.qr(slopes.T @ (matrix.T @ (matrix @ (slopes @ basis))))[0]
        _, _, rotation = np.linalg.svd(matrix @ (slopes @ basis), full_matrices=False)
        directions: Floats = basis @ rotation[:rank].T
        return Factors(rated=slopes @ directions, items=directions)

    @cached_property
    def _gram(self) -> Floats:
        rows = self.matrix
        if self.also is not None:
            rows = sparse.vstack([rows, self.also], format="csr")
        return np.asfortranarray((rows.T @ rows).toarray(), dtype=np.float32)

    @cached_property
    def _described(self) -> Indices:
        """Items with features."""
        return np.flatnonzero(self.features.any(axis=1))

    @cached_property
    def _cosines(self) -> Floats:
        directions = normalize(self.features[self._described])
        with threadpool_limits(1):
            cosines: Floats = directions @ directions.T
        return cosines


@dataclass(frozen=True, kw_only=True)
class Factors:
    """A map as a dot product.

    Attributes:
        rated: (n_columns, rank) what an entry of a row adds to the row's vector.
        items: (n_items, rank).
    """

    rated: Floats
    items: Floats


@dataclass(frozen=True, kw_only=True)
class DenseScorer:
    """Scores of a map that is not cut, for a choice among settings.

    Attributes:
        matrix: (n_users, n_columns).
        slopes: (n_columns, n_items).
    """

    matrix: sparse.csr_matrix
    slopes: Floats

    def scores(self, rows: InputRows, users: Indices) -> Floats:  # noqa: ARG002 - they are here
        """As `item_maps.Scorer.scores`, of the users of training."""
        found: Floats = np.asarray(self.matrix[users] @ self.slopes, dtype=np.float32)
        return found


@dataclass(frozen=True, kw_only=True)
class FeatureEaseFitter:
    """A component with any settings of its regression (`base.Fitter`).

    Attributes:
        spec: what is fitted.
        regression: of what users did.
        made: the component of the regression's factors.
        beside: as `Fitter.beside`.
    """

    spec: TrainingSpec
    regression: FeatureEase
    made: Callable[[Factors], Component]
    beside: bool

    @property
    def grid(self) -> Mapping[str, Ladder]:
        """As `Fitter.grid`."""
        return self.regression.grid

    @property
    def fits(self) -> int:
        """As `Fitter.fits`."""
        affordable = BUDGETS[self.spec.config.effort].dense // self.regression.matrix.shape[1] ** 3
        return max(1, int(affordable))

    def scorer(self, settings: Settings) -> Scorer:
        """As `Fitter.scorer`."""
        if settings["rank"] == ALL:
            slopes = self.regression.slopes(settings)
            return DenseScorer(matrix=self.regression.matrix, slopes=slopes)
        return vectors_of(self.fit(settings), self.spec.graph)

    def fit(self, settings: Settings) -> Component:
        """As `Fitter.fit`; a map that is not cut takes the most directions there may be."""
        return self.made(self.regression.factors(settings))


def too_large(n_columns: int, spec: TrainingSpec) -> str:
    """Why a matrix of items x items is beyond the data, the effort or the memory; empty if not."""
    if min(spec.graph.n_users, spec.graph.n_items) < 2:
        return "fewer than two users or items"
    effort, memory = spec.config.effort, memory_limit(spec.config.memory)
    if n_columns > BUDGETS[effort].exact:
        return (
            f"{n_columns} items and attributes: their matrix costs the cube in time, which effort"
            f" {effort} spends up to {BUDGETS[effort].exact} (local EASE stands in)"
        )
    needed = _BYTES * n_columns**2
    if needed > memory:
        return (
            f"the matrix of {n_columns} items and attributes takes {needed / 2**30:.1f} GiB of"
            f" {memory / 2**30:.1f} (local EASE stands in)"
        )
    return ""
