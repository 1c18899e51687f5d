"""Step `published_lists`: lists that the paper's authors published."""

from pathlib import Path

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import RANK, RANKING, check
from recsys_core.errors import DataError
from tasks.runtime.references import ListsRef
from tasks.runtime.step import step


@step("published_lists", version="1", returns=ListsRef)
def published_lists(out: ArtifactWriter, *, path: str, fingerprint: str | None) -> None:
    """Take over the lists in a file.

    Args:
        out: table `candidates` (`columns.RANKING`).
        path: Parquet with user, item and rank.
        fingerprint: content hash of the file.

    Raises:
        DataError: the file is no such table.
    """
    try:
        lists = pl.read_parquet(path).cast({RANK: pl.Int32})
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path} cannot be read: {error}", expected=f"Parquet with {', '.join(RANKING)}."
        ) from error
    out.table("candidates", check(lists, RANKING, table=path).select(*RANKING), RANKING)
    out.fact("file", Path(path).name)
    out.fact("fingerprint", fingerprint)
