"""An embedding cache on disk (SQLite), by model and text.

When a few items change, the embedding step has new inputs and runs again; this cache makes it embed
only the texts that changed. Rows with a wrong checksum are ignored, and their texts embedded again.
"""

import logging
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from recsys_core.artifacts import content_hash
from recsys_core.errors import StorageError

FILE: Final = "embeddings.sqlite"
_BUSY_S: Final = 60.0
_KEYS_AT_ONCE: Final = 500
"""SQLite bounds the number of variables of a query."""
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS vectors (
        key TEXT PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER NOT NULL
    ) WITHOUT ROWID"""

Vectors = npt.NDArray[np.float32]
logger = logging.getLogger(__name__)


class VectorCache:
    """Vectors by model and text.

    Args:
        path: the SQLite file; None keeps nothing.
        model: what the vectors depend on beside the text: the model's files and the back end.
    """

    def __init__(self, path: Path | None, model: str) -> None:
        self._path, self._model = path, model

    def get(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """The known vectors (d,) of `texts`, by text."""
        if self._path is None or not self._path.exists():
            return {}
        text_of = {self._key(text): text for text in texts}
        found = {}
        with self._open() as database:
            for key, vector, checksum in self._select(database, list(text_of)):
                if _checksum(key, vector) == checksum:
                    found[text_of[key]] = np.frombuffer(vector, np.float32)
        return found

    def _select(
        self, database: sqlite3.Connection, keys: list[str]
    ) -> Iterator[tuple[str, bytes, int]]:
        try:
            _prepare(database)
            yield from _select(database, keys)
        except sqlite3.OperationalError:  # locked, or the disk fails: not the file's fault
            raise
        except sqlite3.DatabaseError:
            aside = self._path.with_suffix(".damaged") if self._path else None
            logger.warning("damaged cache of vectors put aside", extra={"path": str(aside)})
            if self._path and aside:
                self._path.replace(aside)

    def put(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Keep the vectors (n, d) of `texts`; on return they are on disk.

        Raises:
            StorageError: the file cannot be written.
        """
        if self._path is None or not texts:
            return
        made = [(self._key(text), one.tobytes()) for text, one in zip(texts, vectors, strict=True)]
        rows = [(key, vector, _checksum(key, vector)) for key, vector in made]
        with self._open() as database:
            _prepare(database)
            with database:
                database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    def _key(self, text: str) -> str:
        return content_hash([self._model, text])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        assert self._path is not None  # noqa: S101  the callers return early
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self._path, timeout=_BUSY_S)
            try:
                yield database
            finally:
                database.close()
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"The cache of vectors {self._path} cannot be used: {error}",
                expected="a place that can be written, and a file that this program made.",
                fix="check its permissions and the room on its disk; remove the file if it is"
                " damaged (its texts are then embedded again).",
            ) from error


def _checksum(key: str, vector: bytes) -> int:
    """Of a vector and of what it is one: two rows whose vectors were exchanged are wrong, too."""
    return zlib.crc32(vector, zlib.crc32(key.encode()))


def _prepare(database: sqlite3.Connection) -> None:
    """Make the table; the checksums of an earlier version get their keys once."""
    database.execute(_TABLE)
    if database.execute("PRAGMA user_version").fetchone() != (0,):
        return
    database.create_function("bound", 2, _checksum, deterministic=True)
    with database:
        database.execute("BEGIN IMMEDIATE")
        database.execute(
            "UPDATE vectors SET checksum = bound(key, vector) WHERE checksum = bound('', vector)"
        )
        database.execute("PRAGMA user_version = 1")


def _select(database: sqlite3.Connection, keys: list[str]) -> Iterator[tuple[str, bytes, int]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[start : start + _KEYS_AT_ONCE]
        # Only question marks are put into the query's text.
        marks = ",".join("?" * len(some))
        query = f"SELECT key, vector, checksum FROM vectors WHERE key IN ({marks})"  # noqa: S608
        yield from database.execute(query, some)
