"""What a user rated one after another, which goes together more than the rest of what they rated.

A user sits down more than once, in more than one mood, and comes upon things in some order: what
stands next to each other there says more of which items go together. So a user's ratings are cut
into runs of a few in the order of time, each overlapping the next by half, and every run counts as
one more user (`regression`).
"""

from typing import Final

import numpy as np
import polars as pl
from scipy import sparse

from recsys_core.graph.interaction_graph import Edges, Floats

LENGTH: Final = 10
"""Ratings in a run."""
MOST: Final = 2 * LENGTH
"""Runs of more, as ratings of one and the same moment belong to one, tell nothing of an order."""


def runs(edges: Edges, values: Floats, n_items: int) -> sparse.csr_matrix:
    """(n_runs, n_items) values of the edges that each run holds.

    Ratings of unknown time are in none.

    Args:
        edges: who rated what, and when.
        values: (n_edges,) what stands for each.
        n_items: columns of the matrix.
    """
    known = np.isfinite(edges.times)
    values, items = values[known].astype(np.float64), edges.items[known]
    rated = pl.DataFrame({"user": edges.users[known], "time": edges.times[known]})
    before = pl.col("time").rank("min").over("user") - 1
    parts = []
    for shift in (0, LENGTH // 2):
        run = pl.struct("user", run=(before + shift) // LENGTH).rank("dense").cast(pl.Int64) - 1
        rows = rated.select(run).to_series().to_numpy()
        shape = (int(rows.max(initial=-1)) + 1, n_items)
        parts.append(sparse.csr_matrix((values, (rows, items)), shape=shape))
    matrix = sparse.vstack(parts, format="csr")
    return matrix[np.diff(matrix.indptr) <= MOST]
