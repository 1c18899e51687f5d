"""Rating sessions: short windows of a user's history, used as additional rows of EASE.

Items that a user rated close in time co-occur for a better reason than items of the whole history
(Ludewig and Jannach, "Evaluation of session-based recommendation algorithms", UMUAI 2018). A user's
ratings, sorted by time, are cut into windows of `LENGTH` that overlap by half; every window is one
more row of the matrix that the item-to-item regression is fitted on.
"""

from typing import Final

import numpy as np
import polars as pl
from scipy import sparse

from recsys_core.graph.interaction_graph import Edges, Floats

LENGTH: Final = 10
"""Ratings in a session."""
MOST: Final = 2 * LENGTH
"""Longer sessions are left out: all ratings of one timestamp share a session, so a long one holds
ratings whose order is unknown."""


def rating_sessions(edges: Edges, values: Floats, n_items: int) -> sparse.csr_matrix:
    """(n_sessions, n_items) values of the edges of each session.

    Ratings without a timestamp are in no session.

    Args:
        edges: who rated what, and when.
        values: (n_edges,) of the matrix.
        n_items: columns of the matrix.
    """
    known = np.isfinite(edges.times)
    values, items = values[known].astype(np.float64), edges.items[known]
    rated = pl.DataFrame({"user": edges.users[known], "time": edges.times[known]})
    before = pl.col("time").rank("min").over("user") - 1
    parts = []
    for shift in (0, LENGTH // 2):
        session = (
            pl.struct("user", session=(before + shift) // LENGTH).rank("dense").cast(pl.Int64) - 1
        )
        rows = rated.select(session).to_series().to_numpy()
        shape = (int(rows.max(initial=-1)) + 1, n_items)
        parts.append(sparse.csr_matrix((values, (rows, items)), shape=shape))
    matrix = sparse.vstack(parts, format="csr")
    return matrix[np.diff(matrix.indptr) <= MOST]
