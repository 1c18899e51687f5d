"""Change detection for items: what differs from the last processed state, and that state.

The state of a source is a table of item ids and the hash of each item's row. It lies under the
artifact root (`state/<source>/`), so every machine that shares the root shares the state.
"""

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl
import pyarrow.fs as pafs
from pydantic import AwareDatetime, BaseModel, ConfigDict

from recsys_core.artifacts import content_hash, resolve, storage_error
from recsys_core.columns import CONTENT, ITEM, ITEM_STATE, check
from recsys_core.datasets.config import DataConfig
from recsys_core.errors import DataError, StorageError
from recsys_core.processes import temporary_name

PROCESSED: Final = "processed.parquet"
ANNOUNCED: Final = "announced.json"
_BEFORE: Final = "_before"


@dataclass(frozen=True, kw_only=True)
class Changes:
    """How the items differ from the state that was last processed.

    Attributes:
        fingerprint: hash of the present state of all items.
    """

    added: list[int | str]
    changed: list[int | str]
    removed: list[int | str]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.added) + len(self.changed) + len(self.removed)


class Announcement(BaseModel):
    """The state that was announced last, and when: the same is not announced every time."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    at: AwareDatetime

    def covers(self, changes: Changes, within: timedelta) -> bool:
        """Whether just these changes were announced less than `within` ago."""
        return self.fingerprint == changes.fingerprint and datetime.now(UTC) - self.at < within


def item_state(items: pl.DataFrame) -> pl.DataFrame:
    """One hash per item over all its columns (`columns.ITEM_STATE`), sorted by id."""
    by_name = items.select(sorted(items.columns)).sort(ITEM)
    names = by_name.columns
    hashes = [content_hash(repr((names, row))) for row in by_name.iter_rows()]
    return by_name.select(ITEM, pl.Series(CONTENT, hashes, dtype=pl.String))


def compare(before: pl.DataFrame, now: pl.DataFrame) -> Changes:
    """What changed between two states."""
    old = before.with_columns(pl.col(ITEM).cast(now[ITEM].dtype))
    both = now.join(old.rename({CONTENT: _BEFORE}), on=ITEM, how="full", coalesce=True).sort(ITEM)

    def ids(condition: pl.Expr) -> list[int | str]:
        return both.filter(condition)[ITEM].to_list()

    new, gone = pl.col(_BEFORE).is_null(), pl.col(CONTENT).is_null()
    return Changes(
        added=ids(new & ~gone),
        removed=ids(gone),
        changed=ids(~new & ~gone & (pl.col(_BEFORE) != pl.col(CONTENT))),
        fingerprint=content_hash(now[CONTENT].to_list() + [str(one) for one in now[ITEM]]),
    )


class SourceState:
    """What is remembered of one source under the artifact root.

    Args:
        root: the artifact root, a path or a URI.
        data: the source; where it lies is its identity here.
    """

    def __init__(self, root: str, data: DataConfig) -> None:
        self._filesystem, base = resolve(root)
        place = content_hash([data.source, data.folder])[:16]
        self._folder = f"{base.rstrip('/')}/state/{place}"

    def processed(self) -> pl.DataFrame | None:
        """State of the items that were processed last; None before the first time."""
        found = self._read(PROCESSED)
        if found is None:
            return None
        try:
            return check(pl.read_parquet(io.BytesIO(found)), ITEM_STATE, table=PROCESSED)
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"{self._folder}/{PROCESSED} cannot be read: {error}",
                expected="the table that the last run of personalize wrote.",
                fix="remove the file; every item then counts as new.",
            ) from error

    def announced(self) -> Announcement | None:
        """The last announcement, if any."""
        found = self._read(ANNOUNCED)
        try:
            return None if found is None else Announcement.model_validate_json(found)
        except ValueError as error:
            raise DataError(
                f"{self._folder}/{ANNOUNCED} cannot be read: {error}",
                expected="what the last watch-metadata wrote.",
                fix="remove the file; the present changes are then announced once more.",
            ) from error

    def set_processed(self, state: pl.DataFrame) -> None:
        """Remember these items as processed."""
        buffer = io.BytesIO()
        check(state, ITEM_STATE, table=PROCESSED).write_parquet(buffer)
        self._write(PROCESSED, buffer.getvalue())

    def set_announced(self, changes: Changes) -> None:
        """Remember that these changes were announced now."""
        said = Announcement(fingerprint=changes.fingerprint, at=datetime.now(UTC))
        self._write(ANNOUNCED, said.model_dump_json().encode())

    def _read(self, name: str) -> bytes | None:
        path = f"{self._folder}/{name}"
        try:
            if self._filesystem.get_file_info(path).type == pafs.FileType.NotFound:
                return None
            with self._filesystem.open_input_stream(path) as stream:
                data: bytes = stream.read()
                return data
        except OSError as error:
            raise StorageError(
                f"{path} cannot be read: {error}", fix="check the permissions and the store."
            ) from error

    def _write(self, name: str, data: bytes) -> None:
        path = f"{self._folder}/{name}"
        scratch = f"{self._folder}/{temporary_name(name)}"
        try:
            self._filesystem.create_dir(self._folder, recursive=True)
            with self._filesystem.open_output_stream(scratch) as stream:
                stream.write(data)
            self._filesystem.move(scratch, path)
        except OSError as error:
            raise storage_error(path, error) from error
