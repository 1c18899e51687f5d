"""What a data set is: as it was read, and as the rest of the project takes it."""

from dataclasses import dataclass

import polars as pl

from recsys_core.errors import DataError
from recsys_core.interactions.feedback import Feedback, RatingScale


@dataclass(frozen=True, kw_only=True, eq=False)
class RawDataset:
    """Tables as they were read, columns already under the contract's names.

    Attributes:
        name: short name, used for the run's folder and the report.
        source: one sentence that says where the data came from.
        interactions: rows in the file's order.
        items: None where there is no such table.
        users: None where there is no such table.
        feedback: kind of feedback, where the source says so (the column's name counts something).
        text: tables that came from text files: numbers in them are texts still.
        notes: what the reader did, one sentence each.
    """

    name: str
    source: str
    interactions: pl.DataFrame
    items: pl.DataFrame | None
    users: pl.DataFrame | None = None
    feedback: Feedback | None = None
    text: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set that satisfies the contract.

    Attributes:
        name: short name, used for the run's folder and the report.
        source: one sentence that says where the data came from.
        interactions: `columns.INTERACTIONS`, one row per (user, item), in the file's order; and
            `part` and `position` where the data have them.
        items: `columns.ITEMS`, whether each is available, and the columns that were chosen;
            genres are never null.
        users: `user_id` and any further columns, or None.
        scale: kind of feedback, scale and thresholds.
        notes: what was recognised, changed and left out, one sentence each.
    """

    name: str
    source: str
    interactions: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame | None = None
    scale: RatingScale
    notes: tuple[str, ...] = ()


def no_table(place: str, kind: str, seen: str) -> DataError:
    """The error where a table that must be there is not."""
    return DataError(
        f"{place} has no {kind} ({seen}).",
        expected="interactions, and better items, too, as Parquet, CSV, TSV or JSON lines.",
        fix=f"correct --data.source, or name the file: --data.{kind}.",
    )
