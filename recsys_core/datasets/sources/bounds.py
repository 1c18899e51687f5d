"""How much a file of data may stand for: few bytes can unpack to more than any memory holds."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_core.errors import DataError
from recsys_core.memory import memory_limit

_LARGEST_MEMBER: Final = 1 << 31
MUCH: Final = 64 << 20
"""Bytes of an unpacked file from which on it must not be packed beyond belief."""
MOST_PACKED: Final = 100
"""Times by which a file may be packed: ratings in text reach 4 to 20, DEFLATE at most 1032."""
_LEAST_PER_VALUE: Final = 4
"""Bytes of a value in memory: a whole number or a reference to a text; a truth value has less."""
_PACKED: Final = {
    b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz",
    b"\x78\x01": "zlib", b"\x78\x9c": "zlib", b"\x78\xda": "zlib",
}  # fmt: skip
"""How packed bytes begin. The readers of text would unpack some of them, whatever their size."""


def check_unpacked(place: str, size: int, packed: int) -> None:
    """Refuse what unpacks to too much: a small archive can stand for gigabytes of nothing.

    Raises:
        DataError: it is larger than 2 GiB, or packed by more than `MOST_PACKED`.
    """
    if size > _LARGEST_MEMBER:
        raise corrupt(place, "less than 2 GiB", f"{size:,} bytes")
    if size > MUCH and size > MOST_PACKED * max(packed, 1):
        expected = f"a file packed by no more than {MOST_PACKED} (if it is right, unpack it first)"
        raise corrupt(place, expected, f"{packed:,} bytes unpack to {size:,}")


def check_not_packed(place: str, head: bytes) -> None:
    """Refuse text whose bytes are packed although its name does not say so.

    Raises:
        DataError: they are.
    """
    for mark, form in _PACKED.items():
        if head.startswith(mark):
            raise DataError(
                f"{place} is packed by {form}, and its name does not say so.",
                expected="plain text, or gzip in a file whose name ends in .gz.",
                fix="unpack it, or pack it by gzip and name it so (ratings.csv.gz).",
            )


def check_parquet(place: str, source: Path | io.BytesIO, columns: Sequence[str] | None) -> None:
    """Refuse a Parquet file that cannot be held: a page of one value stands for any number.

    Args:
        place: for the message.
        source: the file.
        columns: those that are wanted; None for all.

    Raises:
        DataError: its values need more memory than there is, or the file is no Parquet file.
    """
    try:
        footer = pq.read_metadata(source)
    except (pa.ArrowException, OSError) as error:
        raise corrupt(place, "a whole Parquet file", error) from error
    finally:
        if isinstance(source, io.BytesIO):
            source.seek(0)
    values, least = _least(footer, columns)
    _refuse_beyond(least, f"{place} stands for {footer.num_rows:,} rows of {values:,} values")


def check_expanded(place: str, frame: pl.DataFrame) -> None:
    """Refuse a table of texts that no memory holds: one text of a file can stand in every row.

    Raises:
        DataError: they need more memory than there is.
    """
    _refuse_beyond(frame.estimated_size(), f"{place} holds {frame.height:,} rows of long texts")


def _least(footer: pq.FileMetaData, columns: Sequence[str] | None) -> tuple[int, int]:
    """Values in the wanted columns, those in lists among them, and the fewest bytes of them."""
    below = tuple(f"{name}." for name in columns or ())
    values = size = 0
    for group in range(footer.num_row_groups):
        for number in range(footer.num_columns):
            chunk = footer.row_group(group).column(number)
            path = chunk.path_in_schema
            if columns is None or path in columns or path.startswith(below):
                values += chunk.num_values
                size += max(chunk.num_values * _LEAST_PER_VALUE, chunk.total_uncompressed_size)
    return values, size


def _refuse_beyond(needed: float, what: str) -> None:
    there = memory_limit()
    if needed > there:
        raise DataError(
            f"{what}: at least {needed / 2**30:,.1f} GiB.",
            expected=f"no more than {there / 2**30:,.1f} GiB, half of what this machine has.",
            fix="get the file again, or use a machine with more memory.",
        )


def corrupt(place: str, expected: str, cause: object) -> DataError:
    """The error for a file that cannot be what its name says."""
    return DataError(
        f"{place} is damaged or not what its name says: {cause}",
        expected=f"{expected}.",
        fix="get the file again and compare its checksum with the publisher's.",
    )
