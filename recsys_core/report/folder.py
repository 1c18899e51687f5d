"""The run's folder `runs/<run name>/`: written whole beside its place, then renamed into it."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from recsys_core.artifacts import storage_error

LATEST: Final = "latest"


def publish(root: str, run_name: str, files: Mapping[str, bytes], *, latest: bool = True) -> Path:
    """Write `files` as the folder `<root>/<run_name>` and point `<root>/latest` to it.

    An earlier run of the same name is replaced only after the new one is complete.

    Args:
        root: folder of the runs.
        run_name: name of this run's folder.
        files: name -> content.
        latest: whether `latest` shall lead there; a folder without lists leaves it alone.

    Returns:
        The absolute path of the run's folder.

    Raises:
        StorageError: the folder cannot be written; an earlier run of that name is kept.
    """
    base = Path(root).expanduser().resolve()
    target = base / run_name
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=base, prefix=f".{run_name}.") as scratch:
            fresh = Path(scratch) / "new"
            fresh.mkdir()
            for name, data in files.items():
                (fresh / name).write_bytes(data)
            _swap(fresh, target, Path(scratch) / "old")
        if latest:
            _point(base / LATEST, run_name)
    except OSError as error:
        raise storage_error(str(target), error) from error
    return target


def _swap(fresh: Path, target: Path, aside: Path) -> None:
    if target.exists():
        target.rename(aside)
    fresh.rename(target)


def _point(link: Path, run_name: str) -> None:
    """Make `latest` lead to the run in one atomic rename."""
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    fresh = link.with_name(f".{LATEST}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(run_name, target_is_directory=True)
    fresh.replace(link)
