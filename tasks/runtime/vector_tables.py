"""Vectors as a table of an artifact."""

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import vectors
from recsys_core.interactions.lookup import vector_table


def write_vectors(
    out: ArtifactWriter, table: str, ids: pl.Series, found: npt.NDArray[np.float32]
) -> None:
    """Write a table of ids and their vectors (n, d)."""
    out.table(table, vector_table(ids, found), vectors(ids.name, found.shape[1]))
