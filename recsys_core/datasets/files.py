"""Read the files of a data set from a folder, a URI or a zip archive.

Archives are read member by member in memory and never unpacked, so no member name can reach a
path outside the archive.
"""

import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import polars as pl
import pyarrow.fs as pafs

from recsys_core.errors import DataError, StorageError

_LARGEST_MEMBER: Final = 1 << 30
# Encrypted members are a RuntimeError, unknown compression a NotImplementedError.
_ZIP_ERRORS: Final = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError)


@dataclass(frozen=True, kw_only=True)
class Files:
    """Named files of one folder or archive.

    Attributes:
        place: where they are, for messages.
        names: the file names without folders.
        read: the bytes of a name. Raises DataError where that fails.
    """

    place: str
    names: frozenset[str]
    read: Callable[[str], bytes]

    def parquet(self, name: str) -> pl.DataFrame:
        """Read the Parquet file `name`.

        Raises:
            DataError: it is not there, or it is not Parquet.
        """
        if name not in self.names:
            raise DataError(
                f"{self.place} has no {name} (it has {listing(self.names)}).",
                expected="interactions.parquet and items.parquet (users.parquet is optional).",
                fix="add the file; the README shows the data contract.",
            )
        try:
            return pl.read_parquet(io.BytesIO(self.read(name)))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _corrupt(f"{self.place}/{name}", "a whole Parquet file", error) from error


def listing(names: frozenset[str], most: int = 8) -> str:
    """The first names in order, for a message."""
    shown = sorted(names)[:most] + ["..."] * (len(names) > most)
    return ", ".join(shown) or "no files"


def folder_files(location: str) -> Files:
    """The files of a folder given as a path or as a URI that pyarrow knows.

    Raises:
        DataError: the folder is missing, is no folder, or its store is unknown.
        StorageError: it is there but cannot be read.
    """
    try:
        filesystem, path = _filesystem(location)
        info = filesystem.get_file_info(path)
        if info.type == pafs.FileType.Directory:
            entries = filesystem.get_file_info(pafs.FileSelector(path))
    except OSError as error:
        raise _unreadable(location, error) from error
    if info.type != pafs.FileType.Directory:
        raise DataError(
            f"Data folder {location} {'is a file' if info.is_file else 'does not exist'}.",
            expected="a folder (path or URI) with interactions.parquet and items.parquet.",
            fix="correct --data.source or --data.folder.",
        )

    def read(name: str) -> bytes:
        try:
            with filesystem.open_input_stream(f"{path}/{name}") as stream:
                data: bytes = stream.read()
                return data
        except OSError as error:
            raise _unreadable(f"{location}/{name}", error) from error

    names = frozenset(entry.base_name for entry in entries if entry.is_file)
    return Files(place=location, names=names, read=read)


def _filesystem(location: str) -> tuple[pafs.FileSystem, str]:
    if "://" not in location:
        return pafs.LocalFileSystem(), str(Path(location).expanduser().resolve())
    try:
        filesystem, path = pafs.FileSystem.from_uri(location)
    except ValueError as error:
        raise DataError(
            f"Data folder {location} cannot be opened: {error}",
            expected="a path, or a URI such as file:///data/mine or s3://bucket/prefix.",
            fix="correct --data.source or --data.folder.",
        ) from error
    return filesystem, path.rstrip("/")


def zip_files(data: bytes, *, place: str) -> Files:
    """The members of a zip archive by their file names (of equal names, the shallowest).

    Raises:
        DataError: the archive is corrupt.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise _corrupt(place, "a whole zip archive", error) from error
    members = [info for info in archive.infolist() if not info.is_dir()]
    members.sort(key=lambda info: -info.filename.count("/"))
    by_name = {PurePosixPath(info.filename).name: info for info in members}

    def read(name: str) -> bytes:
        info = by_name[name]
        if info.file_size > _LARGEST_MEMBER:
            raise _corrupt(f"{place} ({name})", "less than 1 GiB", f"{info.file_size} bytes")
        try:
            return archive.read(info)
        except _ZIP_ERRORS as error:
            raise _corrupt(f"{place} ({name})", "a whole zip archive", error) from error

    return Files(place=place, names=frozenset(by_name), read=read)


def _corrupt(place: str, expected: str, cause: object) -> DataError:
    return DataError(
        f"{place} is damaged or not what its name says: {cause}",
        expected=f"{expected}.",
        fix="get the file again and compare its checksum with the publisher's.",
    )


def _unreadable(place: str, cause: OSError) -> StorageError:
    return StorageError(
        f"Cannot read {place}: {cause}",
        expected="a place that this user can read.",
        fix="check the path and its permissions, or the address and credentials of the store.",
    )
