"""Read the files of a data set from a folder, a URI, a glob or a zip archive.

Archives are read member by member in memory and never unpacked, so no member name can reach a
path outside the archive.
"""

import fnmatch
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow.fs as pafs

from recsys_core.datasets.sources.bounds import check_unpacked, corrupt
from recsys_core.errors import DataError, StorageError

# Encrypted members are a RuntimeError, unknown compression a NotImplementedError.
_ZIP_ERRORS: Final = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError)
HEAD: Final = 1 << 16
_WILDCARDS: Final = frozenset("*?[")


def _nowhere(_: str) -> None:
    return None


def _no_parts(_: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Files:
    """Named files of one folder or archive.

    Attributes:
        place: where they are, for messages.
        names: the file names without folders.
        read: the bytes of a name. Raises DataError where that fails.
        head: its first bytes, `HEAD` at most.
        path: where a name lies on this machine's disk; None where it does not.
        folders: folders beside the files: a table may be a folder of parts.
        parts: the files in one of these folders, in order, as names that `read` takes.
    """

    place: str
    names: frozenset[str]
    read: Callable[[str], bytes]
    head: Callable[[str], bytes]
    path: Callable[[str], Path | None] = _nowhere
    folders: frozenset[str] = frozenset()
    parts: Callable[[str], tuple[str, ...]] = _no_parts


def listing(names: frozenset[str], most: int = 8) -> str:
    """The first names in order, for a message."""
    shown = sorted(names)[:most] + ["..."] * (len(names) > most)
    return ", ".join(shown) or "no files"


def is_glob(location: str) -> bool:
    """Whether a path or URI holds wildcards."""
    return bool(_WILDCARDS & set(location))


def folder_files(location: str) -> Files:
    """The files of a folder given as a path or as a URI that pyarrow knows.

    Raises:
        DataError: the folder is missing, is no folder, or its store is unknown.
        StorageError: it is there but cannot be read.
    """
    filesystem, path = _filesystem(location)
    kind, entries = _listed(filesystem, path, location)
    if kind != pafs.FileType.Directory:
        what = {
            pafs.FileType.File: "is a file",
            pafs.FileType.Unknown: "is a pipe or a device",
        }.get(kind, "does not exist")
        raise DataError(
            f"Data folder {location} {what}.",
            expected="a folder, file or glob (path or URI) of interactions and items.",
            fix="correct --data.source or --data.folder.",
        )
    return _files_in(filesystem, path, location, entries)


def exists_as_file(location: str) -> bool:
    """Whether a path or URI names a file."""
    return bool(_kind(location) == pafs.FileType.File)


def _kind(location: str) -> pafs.FileType:
    filesystem, path = _filesystem(location)
    return _listed(filesystem, path, location)[0]


def table_files(location: str) -> tuple[Files, tuple[str, ...]]:
    """The file or files of one table: a file, a folder of parts, or a glob.

    Returns:
        The folder, and the names of the table's files in it, in order.

    Raises:
        DataError: there is nothing at `location`, or the glob fits nothing.
        StorageError: it is there but cannot be read.
    """
    folder, _, name = location.rstrip("/").rpartition("/")
    if is_glob(name):
        files = folder_files(folder or ("/" if location.startswith("/") else "."))
        found = tuple(sorted(fnmatch.filter(files.names, name)))
        found += tuple(
            part for one in sorted(fnmatch.filter(files.folders, name)) for part in files.parts(one)
        )
        if not found:
            raise DataError(
                f"Nothing in {files.place} fits {name} (it has {listing(files.names)}).",
                expected="at least one file.",
                fix="correct the pattern; wildcards may stand in the last part of the path only.",
            )
        return files, found
    kind = _kind(location)
    if kind == pafs.FileType.File:
        files = folder_files(folder or ("/" if location.startswith("/") else "."))
        return files, (name,)
    if kind == pafs.FileType.NotFound:
        raise DataError(
            f"{location} cannot be read: it does not exist.",
            expected="a file, a folder of parts or a glob, as path or URI.",
            fix="correct the path.",
        )
    files = folder_files(location)
    return files, visible(files.names)


def visible(names: frozenset[str]) -> tuple[str, ...]:
    """Parts in order, without what engines write beside them (`_SUCCESS`, `.crc`)."""
    return tuple(sorted(name for name in names if not name.startswith(("_", "."))))


def _files_in(
    filesystem: pafs.FileSystem, path: str, location: str, entries: list[pafs.FileInfo]
) -> Files:
    local = isinstance(filesystem, pafs.LocalFileSystem)

    def read(name: str, size: int | None = None) -> bytes:
        try:
            with filesystem.open_input_stream(f"{path}/{name}", compression=None) as stream:
                data: bytes = stream.read(size)
                return data
        except OSError as error:
            raise _unreadable(f"{location}/{name}", error) from error

    def parts(name: str) -> tuple[str, ...]:
        selector = pafs.FileSelector(f"{path}/{name}", recursive=True)
        try:
            inside = filesystem.get_file_info(selector)
        except OSError as error:
            raise _unreadable(f"{location}/{name}", error) from error
        found = frozenset(one.path for one in inside if one.is_file)
        kept = [one for one in found if not PurePosixPath(one).name.startswith(("_", "."))]
        return tuple(f"{name}/{one.split(f'/{name}/', 1)[1]}" for one in sorted(kept))

    return Files(
        place=location,
        names=frozenset(one.base_name for one in entries if one.is_file),
        read=read,
        head=lambda name: read(name, HEAD),
        path=(lambda name: Path(path) / name) if local else _nowhere,
        folders=frozenset(one.base_name for one in entries if one.type == pafs.FileType.Directory),
        parts=parts,
    )


def _listed(
    filesystem: pafs.FileSystem, path: str, location: str
) -> tuple[pafs.FileType, list[pafs.FileInfo]]:
    try:
        info = filesystem.get_file_info(path)
        if info.type != pafs.FileType.Directory:
            return info.type, []
        return info.type, filesystem.get_file_info(pafs.FileSelector(path))
    except OSError as error:
        raise _unreadable(location, error) from error


def _filesystem(location: str) -> tuple[pafs.FileSystem, str]:
    try:
        if "://" not in location:
            return pafs.LocalFileSystem(), str(Path(location).expanduser().resolve())
        filesystem, path = pafs.FileSystem.from_uri(location)
    except (ValueError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        raise DataError(
            f"Data folder {location} cannot be opened: {error}",
            expected="a path, or a URI such as file:///data/mine or s3://bucket/prefix.",
            fix="correct --data.source or --data.folder.",
        ) from error
    return filesystem, path.rstrip("/")


def zip_files(data: bytes | Path, *, place: str) -> Files:
    """The members of a zip archive by their file names (of equal names, the shallowest).

    Args:
        data: the archive, or where it lies: a large one is not read whole.
        place: for messages.

    Raises:
        DataError: the archive is corrupt.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data) if isinstance(data, bytes) else data)
    except (zipfile.BadZipFile, OSError) as error:
        raise corrupt(place, "a whole zip archive", error) from error
    members = [info for info in archive.infolist() if not info.is_dir()]
    members.sort(key=lambda info: -info.filename.count("/"))
    by_name = {PurePosixPath(info.filename).name: info for info in members}

    def read(name: str, size: int = -1) -> bytes:
        info = by_name[name]
        check_unpacked(f"{place} ({name})", info.file_size, info.compress_size)
        try:
            with archive.open(info) as stream:
                return stream.read(size)
        except _ZIP_ERRORS as error:
            raise corrupt(f"{place} ({name})", "a whole zip archive", error) from error

    names = frozenset(by_name)
    return Files(place=place, names=names, read=read, head=lambda name: read(name, HEAD))


def _unreadable(place: str, cause: OSError) -> StorageError:
    return StorageError(
        f"Cannot read {place}: {cause}",
        expected="a place that this user can read.",
        fix="check the path and its permissions, or the address and credentials of the store.",
    )
