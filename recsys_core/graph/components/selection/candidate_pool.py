"""The scores of every component for the items that any of them puts near the top.

Weights of a sum are tried hundreds of times; on the pooled candidates of the validation users a
try takes a hundredth of a second.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from recsys_core.errors import DataError
from recsys_core.evaluation.metrics import hits_of, ndcg
from recsys_core.graph.components.histories import InputRows
from recsys_core.graph.components.item_maps import Scorer
from recsys_core.graph.interaction_graph import Floats, Indices
from recsys_core.interactions.topk import best_columns

_BLOCK_CELLS: Final = 32_000_000
"""Scores held at once (128 MB): bounds memory, changes nothing."""
_RANKED_CELLS: Final = 2_000_000
"""Scores that the ranks of relevant candidates are counted in at once."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whom to score, what is relevant for them, and how it is measured.

    Attributes:
        rows: what the users rated before.
        users: (n,) those that have something relevant.
        relevant: (n_users, n_items) with a 1 for everything relevant.
        k: cut-off of NDCG.
    """

    rows: InputRows
    users: Indices
    relevant: sparse.csr_matrix
    k: int

    def blocks(self, scorers: int = 1) -> Iterator[Indices]:
        """The users, as many at a time as the scores of so many scorers fit."""
        step = max(1, _BLOCK_CELLS // (self.relevant.shape[1] * scorers))
        for start in range(0, len(self.users), step):
            yield self.users[start : start + step]


def target_of(
    rows: InputRows, relevant: sparse.csr_matrix, k: int, *, most: int, seed: int
) -> Target:
    """The users with a history and something relevant, or `most` of them drawn at random.

    Users without a history say nothing about components that read it; where nobody has one, all
    users with something relevant are taken.

    Raises:
        DataError: nobody has something relevant.
    """
    some = np.diff(relevant.indptr) > 0
    known = some & (np.diff(rows.seen.indptr) > 0)
    users = np.flatnonzero(known if known.any() else some)
    if not len(users):
        raise DataError(
            "No user has a liked item among the validation rows.",
            expected="liked items to choose the settings and the weights of the components on.",
            fix="make the validation share larger, or lower the rating that counts as liked.",
        )
    if len(users) > most:
        users = np.sort(np.random.default_rng(seed).choice(users, most, replace=False))
    return Target(rows=rows, users=users, relevant=relevant, k=k)


def unseen_scores(scorer: Scorer, target: Target, users: Indices) -> torch.Tensor:
    """(b, n_items) scores, minus infinity for what a user has rated."""
    scores = scorer.scores(target.rows, users)
    seen = target.rows.seen[users]
    scores[np.repeat(np.arange(len(users)), np.diff(seen.indptr)), seen.indices] = -np.inf
    return torch.from_numpy(scores)


def ndcg_of(scorer: Scorer, target: Target) -> npt.NDArray[np.float64]:
    """(n,) NDCG@k of each user of the target, ranking all items not rated before."""
    found = []
    for users in target.blocks():
        scores = unseen_scores(scorer, target, users)
        top = best_columns(scores, min(target.k, scores.shape[1]))[1].numpy()
        truth = target.relevant[users]
        hits = np.isin(np.arange(len(users))[:, None] * scores.shape[1] + top, _cells(truth))
        found.append(ndcg(hits_of(hits, np.diff(truth.indptr), [target.k]))[:, 0])
    return np.concatenate(found)


def ideal_gain(relevant: npt.NDArray[np.int32], k: int) -> npt.NDArray[np.float64]:
    """(n,) discounted gain of a perfect list for so many relevant items, at least one each."""
    ladder = np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))
    gain: npt.NDArray[np.float64] = ladder[np.minimum(relevant, k) - 1]
    return gain


def _cells(matrix: sparse.csr_matrix) -> npt.NDArray[np.int64]:
    """Row x width + column of every entry."""
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    cells: npt.NDArray[np.int64] = rows * matrix.shape[1] + matrix.indices
    return cells


@dataclass(frozen=True, kw_only=True)
class CandidatePool:
    """Pooled candidates of users, padded to one width.

    Attributes:
        names: of the components.
        scores: (n_components, n_users, width) divided by the component's scale; 0 fills up.
        scales: (n_components,) mean over users of the standard deviation of their scores here, so
            that weights of components compare.
        filled: (n_users, width) False where there is no candidate.
        relevant: (n_users, width) 1 where a candidate is relevant.
        ideal: (n_users,) discounted gain of a perfect list.
        k: cut-off of NDCG.
    """

    names: tuple[str, ...]
    scores: torch.Tensor
    scales: npt.NDArray[np.float64]
    filled: torch.Tensor
    relevant: torch.Tensor
    ideal: torch.Tensor
    k: int

    def ndcg(self, total: torch.Tensor) -> torch.Tensor:
        """(n_users,) NDCG@k of summed scores (n_users, width).

        Few candidates are relevant: their ranks take less time than the best k of all.
        """
        gain = torch.zeros(len(self.ideal))
        for users, rank in self._ranks(total):
            gain.index_add_(0, users, (rank < self.k) / torch.log2(rank + 2.0))
        return gain / self.ideal

    def listed(self, total: torch.Tensor) -> int:
        """Relevant candidates among the best k by summed scores, over all users."""
        return sum(int((rank < self.k).sum()) for _, rank in self._ranks(total))

    def _ranks(self, total: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """User and rank, from 0 on, of every relevant candidate, in blocks."""
        ranked = total.masked_fill(~self.filled, -torch.inf)
        users, hits = self._hits
        number, step = torch.arange(total.shape[1]), max(1, _RANKED_CELLS // total.shape[1])
        for start in range(0, len(users), step):
            some, places = users[start : start + step], hits[start : start + step, None]
            scores = ranked[some]
            own = scores.gather(1, places)
            rank, equal = _counts(scores > own), scores == own
            # Ties go to the lower item, as in the lists that are served: candidates stand in order.
            tied = torch.nonzero(_counts(equal) > 1)[:, 0]
            rank[tied] += _counts(equal[tied] & (number < places[tied]))
            yield some, rank

    @cached_property
    def _hits(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Users and places of the relevant candidates."""
        users, places = torch.nonzero(self.relevant, as_tuple=True)
        return users, places

    def total(self, weights: npt.NDArray[np.float64]) -> torch.Tensor:
        """(n_users, width) sum of the scores by weights (n_components,) of scaled scores."""
        summed = torch.zeros(self.filled.shape)
        for number in np.flatnonzero(weights):
            summed.add_(self.scores[number], alpha=float(weights[number]))
        return summed

    def of_users(self, places: Indices) -> "CandidatePool":
        """The candidates of some users (n,)."""
        return replace(
            self, scores=self.scores[:, places], filled=self.filled[places],
            relevant=self.relevant[places], ideal=self.ideal[places],
        )  # fmt: skip

    def at(self, k: int) -> "CandidatePool":
        """The same candidates with NDCG cut off at k; a perfect list holds what is among them."""
        counts = np.maximum(self.relevant.sum(1).numpy().astype(np.int32), 1)
        return replace(self, k=k, ideal=torch.from_numpy(ideal_gain(counts, k).astype(np.float32)))

    def only(self, names: tuple[str, ...]) -> "CandidatePool":
        """The same candidates, scored by some of the components."""
        places = [self.names.index(name) for name in names]
        return replace(self, names=names, scores=self.scores[places], scales=self.scales[places])


def _counts(cells: torch.Tensor) -> torch.Tensor:
    """(n,) how many of each row of truth values (n, width) hold; as bytes they add up faster."""
    return cells.view(torch.int8).sum(1, dtype=torch.int32)


def pooled_candidates(scorers: Mapping[str, Scorer], target: Target, *, top: int) -> CandidatePool:
    """The `top` best items of every component for each user of the target, scored by all."""
    parts = [_block(scorers, target, users, top) for users in target.blocks(len(scorers))]
    counts = np.concatenate([part.counts for part in parts])
    width, n_users = int(counts.max(initial=1)), len(counts)
    scores = np.zeros((len(scorers), n_users, width), np.float32)
    relevant = np.zeros((n_users, width), np.float32)
    filled = np.arange(width)[None, :] < counts[:, None]
    for number in range(len(scorers)):
        scores[number][filled] = np.concatenate([part.scores[number] for part in parts])
    relevant[filled] = np.concatenate([part.relevant for part in parts])
    scales = _scales(scores, filled)
    scores /= scales[:, None, None].astype(np.float32)
    sizes = np.diff(target.relevant[target.users].indptr)
    return CandidatePool(
        names=tuple(scorers),
        scores=torch.from_numpy(scores),
        scales=scales,
        filled=torch.from_numpy(filled),
        relevant=torch.from_numpy(relevant),
        ideal=torch.from_numpy(ideal_gain(sizes, target.k).astype(np.float32)),
        k=target.k,
    )


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Candidates of a block of users, one after another."""

    counts: Indices
    scores: list[Floats]
    relevant: npt.NDArray[np.bool_]


def _block(scorers: Mapping[str, Scorer], target: Target, users: Indices, top: int) -> _Part:
    every, cells, n_items = [], [], target.relevant.shape[1]
    for scorer in scorers.values():
        scores = unseen_scores(scorer, target, users)
        best = scores.topk(min(top, n_items), dim=1)
        rows, places = torch.nonzero(best.values != -torch.inf, as_tuple=True)
        cells.append((rows * n_items + best.indices[rows, places]).numpy())
        every.append(scores.numpy().ravel())
    pooled = np.unique(np.concatenate(cells))
    return _Part(
        counts=np.bincount(pooled // n_items, minlength=len(users)),
        scores=[scores[pooled] for scores in every],
        relevant=np.isin(pooled, _cells(target.relevant[users])),
    )


def _scales(scores: Floats, filled: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    counts = np.maximum(filled.sum(1), 1)
    mean = scores.sum(2) / counts
    variance = ((scores - mean[:, :, None]) ** 2 * filled).sum(2) / counts
    scales: npt.NDArray[np.float64] = np.sqrt(variance).mean(1).astype(np.float64)
    return np.where(scales > 0, scales, 1.0)
