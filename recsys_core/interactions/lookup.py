"""Tables of ids and vectors: made of arrays, and read as arrays in the order of given ids."""

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import INDEX, VECTOR
from recsys_core.errors import ConfigError

Floats = npt.NDArray[np.float32]


def aligned(table: pl.DataFrame, ids: pl.Series) -> Floats:
    """(n, d) vectors of `ids`, in their order; zeros for an id that the table does not have.

    Args:
        table: a column of ids, named as `ids` are, and their vectors.
        ids: (n,) each once.

    Raises:
        ConfigError: the vectors are no arrays of a fixed size.
    """
    vectors = np.zeros((ids.len(), width_of(table)), np.float32)
    known = ids.to_frame().with_row_index(INDEX).join(table, on=ids.name)
    vectors[known[INDEX].to_numpy()] = known[VECTOR].to_numpy()
    return vectors


def vector_table(ids: pl.Series, found: Floats) -> pl.DataFrame:
    """Ids and their vectors (n, d) as a table."""
    dtype = pl.Array(pl.Float32, found.shape[1])
    return pl.DataFrame([ids, pl.Series(VECTOR, found, dtype=dtype)])


def vector_array(table: pl.DataFrame) -> Floats:
    """The vectors of a table as (n, d) float32, in its order."""
    found: Floats = table[VECTOR].to_numpy()
    return found


def width_of(table: pl.DataFrame) -> int:
    """Numbers in each vector of a table.

    Raises:
        ConfigError: they are no arrays of a fixed size.
    """
    kind = table.schema[VECTOR]
    if isinstance(kind, pl.Array):
        return kind.shape[0]
    raise ConfigError(
        f"The vectors of the texts are {kind}.",
        expected="an array of a fixed size for each row.",
        fix="cast them to pl.Array.",
    )
