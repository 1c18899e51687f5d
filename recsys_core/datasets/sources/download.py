"""Download a file: resumed, retried, verified by a checksum.

A download is kept as `NAME.part` until its checksum agrees, then renamed: `NAME` is whole or
absent. Errors are told apart by what helps: waiting (`SourceUnavailable`), another disk or
permissions (`StorageError`), another file (`DataError`).
"""

import errno
import hashlib
import logging
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import httpx

from recsys_core.errors import DataError, SourceUnavailable, StorageError

logger = logging.getLogger(__name__)

_RETRIED_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class Checksum:
    """A published digest of a file: the algorithm's name in hashlib, and the hex digest."""

    algorithm: str
    digest: str

    def of(self, path: Path) -> str:
        """The digest of the file at `path`."""
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, self.algorithm).hexdigest()

    def __str__(self) -> str:
        return f"{self.algorithm} {self.digest}"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to try: attempts that make no progress, and the waits between them."""

    attempts: int = 5
    """Attempts in a row without a new byte."""
    connects: int = 2
    """Attempts without any connection: an offline machine shall not wait."""
    backoff: float = 0.5
    """Seconds before the second attempt; doubled each time."""
    timeout: float = 30.0
    """Seconds without a byte."""
    connect_timeout: float = 5.0
    """Seconds for a connection."""
    sleep: Callable[[float], None] = time.sleep
    """How to wait; tests do not."""


def download(
    url: str, target: Path, checksum: Checksum, *, patience: Patience | None = None
) -> Path:
    """Bring `url` to `target` and return `target`; a whole file that is there already is kept.

    Raises:
        SourceUnavailable: the host cannot be reached, or refuses, or breaks off every time.
        DataError: the host sent other bytes than the checksum says; they are removed.
        StorageError: the disk is full or the folder cannot be written.
    """
    part = target.with_name(target.name + ".part")
    try:
        if target.exists() and checksum.of(target) == checksum.digest:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        resumed = part.exists()
        _fetch(url, part, patience or Patience())
        if resumed and checksum.of(part) != checksum.digest:
            # What lay there may be of another version of the file: once more, from the start.
            logger.warning("resumed download does not agree, starting over", extra={"url": url})
            part.unlink()
            _fetch(url, part, patience or Patience())
        _accept(url, part, target, checksum)
    except OSError as error:
        raise _disk_error(target, part, error) from error
    return target


def _accept(url: str, part: Path, target: Path, checksum: Checksum) -> None:
    found = checksum.of(part)
    if found != checksum.digest:
        part.unlink()
        raise DataError(
            f"{url} has {checksum.algorithm} {found}; what was downloaded is removed.",
            expected=f"{checksum}.",
            fix="try again; if it stays, get the archive by hand and pass --data.folder.",
        )
    part.replace(target)


def _fetch(url: str, part: Path, patience: Patience) -> None:
    """Bring the whole of `url` to `part`, going on where it ends."""
    timeout = httpx.Timeout(patience.timeout, connect=patience.connect_timeout)
    idle, most = 0, _size(part)
    with httpx.Client(timeout=timeout, follow_redirects=True) as client:
        while True:
            try:
                _attempt(client, url, part)
                return
            except (httpx.TransportError, _TryAgain) as error:
                idle = 0 if _size(part) > most else idle + 1
                most = max(most, _size(part))
                if idle >= _allowed(error, patience):
                    raise _unavailable(url, error) from error
                wait = patience.backoff * 2 ** max(idle - 1, 0)
                extra = {"url": url, "cause": str(error), "wait_s": wait, "bytes": _size(part)}
                logger.warning("download interrupted, trying again", extra=extra)
                patience.sleep(wait)
            except httpx.HTTPError as error:
                raise _unavailable(url, error) from error


class _TryAgain(Exception):
    """An answer that may be better next time."""


def _attempt(client: httpx.Client, url: str, part: Path) -> None:
    start = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            _complete(response, part, start)
            return
        if response.status_code in _RETRIED_STATUS:
            raise _TryAgain(f"HTTP {response.status_code}")
        if not response.is_success:
            raise _unavailable(url, f"HTTP {response.status_code}")
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            start = 0  # no support of ranges: the body is the whole file
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.unlink(missing_ok=True)
            raise _TryAgain("the host sent another range than the one asked for")
        with part.open("ab" if start else "wb") as stream:
            _copy(response, stream, start)


def _complete(response: httpx.Response, part: Path, start: int) -> None:
    """Nothing lies beyond `start`: either all is there, or `part` is of another file."""
    if response.headers.get("Content-Range") != f"bytes */{start}":
        part.unlink(missing_ok=True)
        raise _TryAgain("the partial file is longer than the file")


def _copy(response: httpx.Response, stream: IO[bytes], start: int) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    length = response.headers.get("Content-Length")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
               TransferSpeedColumn())  # fmt: skip
    # On stderr, and only for a person who watches.
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        name = response.url.path.rsplit("/", 1)[-1]
        total = start + int(length) if length else None
        task = progress.add_task(name, total=total, completed=start)
        # As they come: a fixed chunk size would drop what arrived before a break.
        for chunk in response.iter_raw():
            stream.write(chunk)
            progress.advance(task, len(chunk))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _allowed(error: Exception, patience: Patience) -> int:
    if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return patience.attempts
    return 1 if _unknown_host(error) else patience.connects


def _unknown_host(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, socket.gaierror):
            return True
        error = error.__cause__ or error.__context__
    return False


def _unavailable(url: str, cause: object) -> SourceUnavailable:
    return SourceUnavailable(
        f"{url} cannot be downloaded: {cause}",
        expected="the file, over HTTPS.",
        fix="check the network and the proxy settings and try again (a broken download goes on"
        " where it stopped), or get the file by hand and pass --data.folder.",
    )


def _disk_error(target: Path, part: Path, error: OSError) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        part.unlink(missing_ok=True)
    return StorageError(
        f"Cannot write {target}: {error}",
        expected="a folder that this user can write, with enough room.",
        fix="free some disk space, correct the permissions, or choose another cache folder.",
    )
