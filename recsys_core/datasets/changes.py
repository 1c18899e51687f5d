"""Change detection: what differs from the state that was seen last, and that state.

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
from recsys_core.columns import (
    CONTENT,
    INTERACTIONS,
    ITEM,
    ITEM_STATE,
    USER,
    USER_STATE,
    K,
    check,
)
from recsys_core.datasets.config import DataConfig
from recsys_core.errors import DataError, StorageError
from recsys_core.processes import temporary_name

PROCESSED: Final = "processed.parquet"
SEEN_USERS: Final = "seen_users.parquet"
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


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """Users whose ratings differ from those that were seen last.

    Attributes:
        new: ids of users who had none.
        returned: ids of users whose ratings are others now.
        ratings: how many more ratings these users have.
        fingerprint: hash of who they are and what they have rated.
    """

    new: list[int | str]
    returned: list[int | str]
    ratings: int
    fingerprint: str

    def __len__(self) -> int:
        return len(self.new) + len(self.returned)


def user_state(interactions: pl.DataFrame) -> pl.DataFrame:
    """Count and hash of every user's ratings (`columns.USER_STATE`), sorted by id."""
    names = [name for name in INTERACTIONS if name != USER]
    rows = interactions.sort(USER, ITEM).group_by(USER, maintain_order=True).agg(names)
    hashes = [content_hash(repr(one)) for one in rows.select(names).iter_rows()]
    counts = rows[ITEM].list.len().cast(pl.Int32).alias(K)
    return pl.DataFrame([rows[USER], counts, pl.Series(CONTENT, hashes, dtype=pl.String)])


def arrivals_between(before: pl.DataFrame, now: pl.DataFrame) -> Arrivals:
    """Who came, or came back, between two states of the users."""
    old = before.select(pl.col(USER).cast(now.schema[USER]), pl.col(K).alias("_k"),
                        pl.col(CONTENT).alias(_BEFORE))  # fmt: skip
    both = now.join(old, on=USER, how="left", maintain_order="left")
    new = both.filter(pl.col(_BEFORE).is_null())
    returned = both.filter(pl.col(_BEFORE) != pl.col(CONTENT))
    counts = [*new[K], *(returned[K] - returned["_k"]).clip(0)]
    changed = pl.concat([new, returned])
    return Arrivals(
        new=new[USER].to_list(), returned=returned[USER].to_list(), ratings=sum(counts),
        fingerprint=content_hash([changed[CONTENT].to_list(), changed[USER].to_list()]),
    )  # fmt: skip


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
        self.place = f"{root.rstrip('/')}/state/{place}" if "://" in root else self._folder

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

    def seen_users(self) -> pl.DataFrame | None:
        """State of the users that were seen last (`columns.USER_STATE`); None at the first look."""
        found = self._read(SEEN_USERS)
        try:
            return None if found is None else pl.read_parquet(io.BytesIO(found))
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"{self._folder}/{SEEN_USERS} cannot be read: {error}",
                expected="the table that the last watch wrote.",
                fix="remove the file; the next look then announces nobody.",
            ) from error

    def set_seen_users(self, state: pl.DataFrame) -> None:
        """Remember these users as seen."""
        buffer = io.BytesIO()
        check(state, USER_STATE, table=SEEN_USERS).write_parquet(buffer)
        self._write(SEEN_USERS, buffer.getvalue())

    def keep_arrived(self, rows: pl.DataFrame, fingerprint: str) -> str:
        """Write the ratings of users who came, for lists of just these; where they lie."""
        buffer = io.BytesIO()
        rows.write_parquet(buffer)
        name = f"arrived-{fingerprint[:16]}.parquet"
        self._write(name, buffer.getvalue())
        return f"{self.place}/{name}"

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
