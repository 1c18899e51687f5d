"""One process at a time builds an artifact that is paid for: the others wait and find it.

Two that built it at once would share the work, and each would pay for a part: of two ledgers at one
place one would be lost. The lock is the file system's, so it ends with its process, however that
ends. On an object store, or where there are no locks, nobody waits for anybody.
"""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from recsys_core.artifacts.filesystem import local_folder, storage_error
from recsys_core.concurrency import stopping
from recsys_core.errors import LLMStopped
from recsys_core.processes import Process, this_process

_LOOK_S: Final = 0.2
_TELL_S: Final = 60.0
_LOCK: Final = ".building"
_LOG: Final = logging.getLogger(__name__)


@contextmanager
def building(uri: str) -> Iterator[None]:
    """Hold the right to build the artifact at `uri`; look there again once it is held.

    Raises:
        StorageError: the folder cannot be written.
        LLMStopped: the process was told to end while it waited.
    """
    folder = local_folder(uri)
    if folder is None:
        yield
        return
    handle = _wait(folder / _LOCK, uri)
    try:
        yield
    finally:
        with suppress(OSError):  # before it is let go: who opens it then opens another one
            (folder / _LOCK).unlink()
        os.close(handle)


def _wait(lock: Path, uri: str) -> int:
    begun, told = time.monotonic(), -_TELL_S
    while (handle := _try(lock, uri)) is None:
        if stopping.is_set():
            raise LLMStopped(
                "The process was told to end while another one built what it needs.",
                fix="run the same command again; every answer so far is kept.",
            )
        waited = time.monotonic() - begun
        if waited - told >= _TELL_S:
            told = waited
            _LOG.warning(
                f"waiting for {_holder(lock)}, which builds {uri}: {waited:.0f} s so far; this run"
                " goes on when that is done, or its process is gone"
            )
        time.sleep(_LOOK_S)
    return handle


def _try(lock: Path, uri: str) -> int | None:
    """The handle that holds the lock; None where another process, or thread, holds it."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except FileNotFoundError:  # the folder was removed this moment
        return None
    except OSError as error:
        raise storage_error(uri, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:  # a file system without locks
        return handle
    if not _is_there(handle, lock):  # who held it removed it
        os.close(handle)
        return None
    os.truncate(handle, 0)
    os.write(handle, this_process().model_dump_json().encode())
    return handle


def _is_there(handle: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), lock.stat())
    except FileNotFoundError:
        return False


def _holder(lock: Path) -> str:
    try:
        process = Process.model_validate_json(lock.read_text())
    except (OSError, ValueError):
        return "another process"
    return process.told()
