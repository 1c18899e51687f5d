"""Users as numbers of a model: what scoring reads of them."""

from dataclasses import dataclass, replace

import numpy as np

from recsys_core.graph.interaction_graph import Edges, Floats, Indices


@dataclass(frozen=True, kw_only=True, eq=False)
class Located:
    """Users as numbers: what scoring reads of them.

    Attributes:
        trained: (n,) places of their vectors of training; -1 for who is folded in.
        edges: their ratings of items of the training.
        seen: (rows, places of items) that lists leave out.
        attributes: (n, d).
        texts: (n, d_text) vectors of profiles.
    """

    trained: Indices
    edges: Edges
    seen: tuple[Indices, Indices]
    attributes: Floats
    texts: Floats

    def __len__(self) -> int:
        return len(self.trained)

    def where(self, rows: Indices) -> "Located":
        """Some of them, in ascending order."""
        numbers = np.full(len(self), -1, np.int64)
        numbers[rows] = np.arange(len(rows))
        edges = self.edges.where(numbers[self.edges.users] >= 0)
        kept = numbers[self.seen[0]] >= 0
        return Located(
            trained=self.trained[rows], edges=replace(edges, users=numbers[edges.users]),
            seen=(numbers[self.seen[0][kept]], self.seen[1][kept]),
            attributes=self.attributes[rows], texts=self.texts[rows],
        )  # fmt: skip


def best_places(scores: Floats, k: int) -> Indices:
    """Places of the k best finite scores (n,), best first; equal ones by place."""
    k = min(k, int(np.isfinite(scores).sum()))
    if not k:
        return np.empty(0, np.int64)
    least = np.partition(scores, -k)[-k]
    among = np.flatnonzero(scores >= least)
    return among[np.lexsort((among, -scores[among]))][:k]


def by_order(edges: Edges, n_users: int) -> list[tuple[Indices, Edges]]:
    """Users whose ratings all have a time, and the others; each with their ratings, renumbered.

    Fading by age needs an order; one user without any must not take it from the others.
    """
    untimed = np.bincount(edges.users, ~np.isfinite(edges.times), minlength=n_users) > 0
    parts = []
    for mask in (~untimed, untimed):
        rows = np.flatnonzero(mask)
        if len(rows):
            numbers = np.full(n_users, -1, np.int64)
            numbers[rows] = np.arange(len(rows))
            kept = edges.where(mask[edges.users])
            parts.append((rows, replace(kept, users=numbers[kept.users])))
    return parts
