"""Whether Prefect's own folder, and that of its results, has room for its records."""

import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final

from prefect.settings import get_current_settings

from recsys_core.errors import StorageError

_ROOM: Final = 1 << 20
"""Bytes that are written before a run to see whether there is room."""
_MORE_ROOM: Final = 1 << 16
"""The same while it goes on."""


def check_home(room: int = _ROOM) -> None:
    """Refuse to start, or to go on, where Prefect cannot keep its records.

    Raises:
        StorageError: PREFECT_HOME, or the folder of results, cannot be written or is full.
    """
    settings = get_current_settings()
    for folder in {settings.home, settings.results.local_storage_path or settings.home}:
        _write_probe(Path(folder), room)


def no_room() -> StorageError | None:
    """What is wrong with the room for records while a run goes on; None where nothing is."""
    try:
        check_home(_MORE_ROOM)
    except StorageError as error:
        return error
    return None


def _write_probe(folder: Path, room: int) -> None:
    probe = folder / f".probe-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as file:
                file.write(bytes(room))
                file.flush()
                if room == _ROOM:  # a network's disk may refuse no sooner
                    os.fsync(file.fileno())
        finally:
            with suppress(OSError):
                probe.unlink()
    except OSError as error:
        raise StorageError(
            f"Prefect cannot keep its records in {folder}: {error.strerror or error}.",
            expected="a folder that this user can write, with some room.",
            fix="free some space, or set PREFECT_HOME to another folder. Finished steps are kept;"
            " the same command goes on from there.",
        ) from error
