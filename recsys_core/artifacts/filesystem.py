"""Where artifacts lie: file systems by URI, and the errors of reading and writing them."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pyarrow.fs as pafs

from recsys_core.errors import StorageError
from recsys_core.processes import is_left_over, is_temporary

_ADVICE: Final = {
    errno.ENOSPC: "free some disk space or point artifact_root at a larger disk.",
    errno.EACCES: "give this user write permission or choose another artifact_root.",
    errno.EROFS: "the file system is read-only: choose another artifact_root.",
}


def resolve(root: str) -> tuple[pafs.FileSystem, str]:
    """File system and path of a root given as a path or a URI.

    Raises:
        StorageError: the URI names a file system that is not known, or is malformed.
    """
    _refuse_secrets(root)
    try:
        if "://" in root:
            filesystem, path = pafs.FileSystem.from_uri(root)
            return filesystem, path
        return pafs.LocalFileSystem(), str(absolute(root))
    except (ValueError, OSError) as error:
        raise StorageError(
            f"Artifact root {root!r} cannot be opened: {error}",
            expected="a folder, or a URI such as file:///data/artifacts or s3://bucket/prefix.",
            fix="set artifact_root to one of these.",
        ) from error


def absolute(path: str) -> Path:
    """The absolute path, `~` and links resolved.

    Raises:
        StorageError: its links lead in a circle, or there is no home folder to stand for `~`.
    """
    try:
        return Path(path).expanduser().resolve()
    except (RuntimeError, OSError) as error:
        raise StorageError(
            f"{path} leads nowhere: {error}",
            expected="a folder, or a place for one.",
            fix="correct the path, or the links on it.",
        ) from error


def _refuse_secrets(root: str) -> None:
    # A URI ends up in manifests, logs and Prefect's database.
    scheme, found, rest = root.partition("://")
    if found and ("@" in rest.partition("/")[0] or "?" in rest):
        raise StorageError(
            f"The {scheme} URI of the artifact root holds a key, or options after `?`.",
            expected="s3://bucket/prefix, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and"
            " AWS_ENDPOINT_URL in the environment.",
            fix="shorten the URI, and set these variables where flows run.",
        )


def local_folder(root: str) -> Path | None:
    """The folder of a root on this machine's own disk, or None for a remote one.

    Raises:
        StorageError: the root is malformed.
    """
    filesystem, path = resolve(root)
    return Path(path) if isinstance(filesystem, pafs.LocalFileSystem) else None


def sweep(filesystem: pafs.FileSystem, folder: str) -> None:
    """Remove temporary files in `folder` whose writers, processes of this machine, are gone."""
    try:
        found = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
        for one in found:
            if one.type == pafs.FileType.File and is_left_over(
                one.base_name, one.mtime.timestamp()
            ):
                filesystem.delete_file(one.path)
    except OSError:  # a place that cannot be read is told by who writes to it
        return


def sweep_root(root: str) -> None:
    """Remove what dead writers left anywhere under a root on this machine's disk."""
    filesystem, root = resolve(root)
    if not isinstance(filesystem, pafs.LocalFileSystem):
        return  # an object store shows no half-written file, and listing it all takes long
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(OSError):  # another start was faster, or it is not ours to remove
                path = Path(folder, name)
                if is_temporary(name) and is_left_over(name, path.lstat().st_mtime):
                    path.unlink()


@contextmanager
def locked(filesystem: pafs.FileSystem, folder: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a folder on this machine's disk; ends with the process, however it ends.

    Elsewhere (an object store), or on a file system without locks, nobody waits for anybody.
    """
    if not isinstance(filesystem, pafs.LocalFileSystem):
        yield
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # nothing is there to be waited for
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def storage_error(place: str, error: OSError) -> StorageError:
    """The error for a failed write at `place`, with advice that fits the cause."""
    return StorageError(
        f"Cannot write to {place}: {error}",
        expected="a place that can be written, with enough room.",
        fix=_ADVICE.get(error.errno or 0, "check the path, its permissions and the store.")
        + " Finished steps are kept; the same command goes on from there.",
    )
