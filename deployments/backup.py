"""Copy artifacts, runs and Prefect's SQLite database into a folder, and back.

    python -m deployments.backup /backups/2026-11-29
    python -m deployments.backup --restore /backups/2026-11-29     # server and workers stopped

Backing up is safe while runs go on: artifacts are never changed in place, and databases are copied
by SQLite's own online backup. Restoring writes to empty places only. A database in PostgreSQL is
dumped and restored by its own tools; artifacts in a bucket are the bucket's business.
"""

import argparse
import shutil
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from prefect.settings import PREFECT_HOME, get_current_settings

from recsys_core.artifacts import local_folder
from recsys_core.config import RunConfig
from recsys_core.errors import RecsysError, StorageError

DATABASE: Final = "prefect.db"
_DATABASES: Final = (".sqlite", ".db")
_LEFT_OUT: Final = (".tmp", "-wal", "-shm", "-journal")
"""Endings of unfinished files, and of what belongs to an open database."""


def places() -> dict[str, Path]:
    """What is backed up, by its name in the backup; says what is not."""
    config = RunConfig()
    found = {"runs": Path(config.runs_root).expanduser()}
    artifacts = local_folder(config.artifact_root)
    if artifacts is None:
        print(f"Left out: the artifacts at {config.artifact_root}, which are on no disk of ours.")
    else:
        found["artifacts"] = artifacts
    url = database_url()
    if url.startswith("sqlite"):
        found[DATABASE] = Path(url.partition(":///")[2])
    else:
        print("Left out: Prefect's database, which is in PostgreSQL: pg_dump.")
    return found


def database_url() -> str:
    """Where the server of this machine keeps its database."""
    url = get_current_settings().server.database.connection_url
    return url.get_secret_value() if url else f"sqlite:///{PREFECT_HOME.value() / DATABASE}"


def back_up(folder: Path, given: Mapping[str, Path]) -> None:
    """Copy every place into `folder`."""
    _must_be_empty(folder)
    for name, place in given.items():
        if place.exists():
            _copy(place, folder / name)
            print(f"{place} -> {folder / name}")
        else:
            print(f"Left out: {place}, which is not there.")


def restore(folder: Path, given: Mapping[str, Path]) -> None:
    """Copy everything that `folder` holds back to its place."""
    found = {name: place for name, place in given.items() if (folder / name).exists()}
    if not found:
        raise StorageError(
            f"{folder} holds no backup.", expected=f"a folder with {', '.join(given)}."
        )
    for place in found.values():
        _must_be_empty(place)
    for name, place in found.items():
        _copy(folder / name, place)
        print(f"{folder / name} -> {place}")


def _must_be_empty(place: Path) -> None:
    if place.is_file() or (place.is_dir() and any(place.iterdir())):
        raise StorageError(
            f"{place} is not empty.",
            expected="a place that is empty or not there, so that nothing is mixed or lost.",
            fix="move it elsewhere first.",
        )


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        _copy_file(source, target)
        return
    target.mkdir(parents=True, exist_ok=True)
    # Manifests last: without its manifest, an artifact that is being written does not exist.
    inside = sorted(source.iterdir(), key=lambda path: (path.name == "manifest.json", path.name))
    for path in inside:
        if path.name.endswith(_LEFT_OUT):
            continue
        if path.is_symlink():
            (target / path.name).symlink_to(path.readlink())
        else:
            _copy(path, target / path.name)


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix not in _DATABASES:
        shutil.copy2(source, target)
        return
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def main(argv: Sequence[str]) -> int:
    """Back up or restore; 1 with one message if that cannot be."""
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m deployments.backup", description=description)
    parser.add_argument("folder", type=Path, help="of the backup")
    parser.add_argument("--restore", action="store_true", help="copy from it in place of to it")
    options = parser.parse_args(argv)
    try:
        (restore if options.restore else back_up)(options.folder, places())
    except (RecsysError, OSError, sqlite3.Error) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
