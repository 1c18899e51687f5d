"""Vectors as a column of a table, and back."""

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import VECTOR, vectors


def vector_table(ids: pl.Series, found: npt.NDArray[np.float32]) -> pl.DataFrame:
    """Ids and their vectors (n, d) as a table."""
    dtype = pl.Array(pl.Float32, found.shape[1])
    return pl.DataFrame([ids, pl.Series(VECTOR, found, dtype=dtype)])


def write_vectors(
    out: ArtifactWriter, table: str, ids: pl.Series, found: npt.NDArray[np.float32]
) -> None:
    """Write a table of ids and their vectors (n, d)."""
    out.table(table, vector_table(ids, found), vectors(ids.name, found.shape[1]))


def vector_array(frame: pl.DataFrame) -> npt.NDArray[np.float32]:
    """The vectors of a table as (n, d) float32."""
    found: npt.NDArray[np.float32] = frame[VECTOR].to_numpy()
    return found
