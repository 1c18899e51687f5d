"""The run's folder `runs/<run name>/`: written whole beside its place, then swapped into it.

Only folders that this project wrote are ever replaced: they carry the file `MARK`, or the
`summary.json` of a run. Anything else at the place is refused.
"""

import ctypes
import errno
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from recsys_core.artifacts import absolute, storage_error
from recsys_core.errors import ConfigError, StorageError
from recsys_core.processes import remove_left_over, temporary_name

LATEST: Final = "latest"
MARK: Final = ".recsys-run"
_SUMMARY_KEYS: Final = frozenset({"run_name", "flow_run_id", "data_source"})
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_CANNOT_EXCHANGE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


def check_run_folder(root: str, run_name: str) -> None:
    """Refuse a run whose folder would take the place of something that is not ours.

    Raises:
        ConfigError: there is a folder or file of that name, or of the name `latest`, that this
            project did not write.
    """
    base = absolute(root)
    _restore(base / run_name)
    if not _replaceable(base / run_name):
        raise ConfigError(
            f"{base / run_name} exists, and no run of this project wrote it.",
            expected=f"no such folder, or one that holds {MARK} or a run's summary.json.",
            fix="choose another run_name or runs_root, or move the folder away.",
        )
    latest = base / LATEST
    if latest.exists() and not latest.is_symlink():
        raise ConfigError(
            f"{latest} exists and is no link.",
            expected="that name free: it becomes a link to the last run.",
            fix="move it away, or choose another runs_root.",
        )


def publish(root: str, run_name: str, files: Mapping[str, bytes], *, latest: bool = True) -> Path:
    """Write `files` as the folder `<root>/<run_name>` and point `<root>/latest` to it.

    An earlier run of the same name is replaced in one step once the new one is complete, where
    the file system can exchange two folders (Linux: ext4, xfs, btrfs, tmpfs). Elsewhere a kill
    between two renames leaves the earlier run beside its place, and the next run moves it back.

    Args:
        root: folder of the runs.
        run_name: name of this run's folder.
        files: name, or folder/name -> content.
        latest: whether `latest` shall lead there; a folder without lists leaves it alone.

    Returns:
        The absolute path of the run's folder.

    Raises:
        ConfigError: what stands in the place is not ours.
        StorageError: the folder cannot be written; an earlier run of that name is kept.
    """
    check_run_folder(root, run_name)
    base = absolute(root)
    target = base / run_name
    fresh = base / temporary_name(run_name)
    try:
        base.mkdir(parents=True, exist_ok=True)
        remove_left_over(base)
        try:
            fresh.mkdir()
            (fresh / MARK).write_text(f"{run_name}\n")
            for name, data in files.items():
                (fresh / name).parent.mkdir(exist_ok=True)
                (fresh / name).write_bytes(data)
            _swap(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)  # the new folder, or the earlier one
        if latest:
            _point(base / LATEST, run_name)
    except OSError as error:
        raise storage_error(str(target), error) from error
    return target


def _replaceable(folder: Path) -> bool:
    if folder.is_symlink() or not folder.exists():
        return not folder.is_symlink()
    return is_run(folder)


def is_run(folder: Path) -> bool:
    """Whether a run of this project wrote the folder."""
    return folder.is_dir() and ((folder / MARK).is_file() or _has_summary(folder))


def _has_summary(folder: Path) -> bool:
    try:
        found = json.loads((folder / "summary.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and set(found) >= _SUMMARY_KEYS


def _swap(fresh: Path, target: Path) -> None:
    """Put `fresh` into the place of `target`; the earlier folder, if any, ends up at `fresh`."""
    if not target.exists():
        fresh.rename(target)
    elif not _exchange(fresh, target):
        before = _before(target)
        target.rename(before)
        fresh.rename(target)
        before.rename(fresh)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders atomically; False where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    places = os.fsencode(one), os.fsencode(other)
    if rename(_AT_FDCWD, places[0], _AT_FDCWD, places[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _before(target: Path) -> Path:
    return target.with_name(f".{target.name}.before")


def _restore(target: Path) -> None:
    """Undo what a kill between two renames left: the earlier run goes back to its place."""
    before = _before(target)
    try:
        if before.exists() and not target.exists():
            before.rename(target)
    except OSError as error:
        raise StorageError(f"{before} cannot be moved back to {target}: {error}") from error


def sweep_runs(root: str) -> None:
    """Remove the folders that dead processes were writing under the folder of the runs."""
    with suppress(OSError):  # what cannot be removed is told by who writes there
        remove_left_over(absolute(root))


def _point(link: Path, run_name: str) -> None:
    """Make `latest` lead to the run in one atomic rename."""
    fresh = link.with_name(temporary_name(LATEST))
    fresh.symlink_to(run_name, target_is_directory=True)
    fresh.replace(link)
