"""HTTP response cache on disk (SQLite): a request that was answered is never sent again.

One file, shared by threads and processes of one machine. Every response is a transaction of its
own, so a killed process loses at most the requests in flight. Keys are URLs without credentials.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from recsys_core.errors import StorageError

_BUSY_S: Final = 30.0
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS answers (
        url TEXT PRIMARY KEY, body BLOB NOT NULL, answered_at TEXT NOT NULL
    )"""


class ResponseCache:
    """Response bodies by URL; a context manager.

    Args:
        path: the file; it and its folder are made where missing.

    Raises:
        StorageError: the file cannot be made, read or written, or is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._guarded():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        with self._guarded():
            # Write-ahead: readers do not wait, and a commit survives the death of the process.
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(_TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def get(self, url: str) -> bytes | None:
        """The stored body of `url`, or None."""
        with self._guarded(), closing(self._db.cursor()) as cursor:
            row = cursor.execute("SELECT body FROM answers WHERE url = ?", (url,)).fetchone()
            return zlib.decompress(row[0]) if row else None

    def put(self, url: str, body: bytes) -> None:
        """Store `body` as the response of `url`; on return it is on disk."""
        row = (url, zlib.compress(body), datetime.now(UTC).isoformat(timespec="seconds"))
        with self._guarded():
            self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", row)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, zlib.error, OSError) as error:
            raise StorageError(
                f"The cache of answers {self._path} cannot be used: {error}",
                expected="a place that can be written, and a file that this program made.",
                fix="check its permissions and the room on its disk; remove the file if it is"
                " damaged (its answers are then asked for again).",
            ) from error
