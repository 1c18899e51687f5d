"""Vectors on disk: exactly the changed texts are embedded, and damage only costs time."""

import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from recsys_core.concurrency import Progress
from recsys_core.embedding.cache import FILE, VectorCache
from recsys_core.embedding.embedder import Embedder
from recsys_core.errors import StorageError


class Lengths(Embedder):
    """Embeds a text as its length; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], on_text: Progress = lambda _: None) -> np.ndarray:
        self.asked += texts
        on_text(len(texts))
        return np.array([[len(text), 1.0] for text in texts], np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "below" / FILE


def test_only_new_texts_are_embedded(path: Path) -> None:
    embedder, cache = Lengths(), VectorCache(path, "model")
    first, made = embedder.encode_new(["a", "bb", "a"], cache)
    assert (first[:, 0].tolist(), made) == ([1, 2, 1], 2)
    second, made = embedder.encode_new(["bb", "ccc", "a"], VectorCache(path, "model"))
    assert (second[:, 0].tolist(), made) == ([2, 3, 1], 1)
    assert embedder.asked == ["a", "bb", "ccc"]


def test_nothing_new_asks_nothing(path: Path) -> None:
    embedder, cache = Lengths(), VectorCache(path, "model")
    embedder.encode_new(["a"], cache)
    assert embedder.encode_new(["a"], cache)[1] == 0
    assert embedder.asked == ["a"]


def test_no_texts_have_no_vectors(path: Path) -> None:
    vectors, made = Lengths().encode_new([], VectorCache(path, "model"))
    assert (vectors.shape, made) == ((0, 2), 0)


def test_an_empty_text_is_described_by_nothing(path: Path) -> None:
    embedder, cache = Lengths(), VectorCache(path, "model")
    for _ in range(2):
        vectors, _ = embedder.encode_new(["", "a"], cache)
        assert not vectors[0].any()
        assert vectors[1].any()


def test_another_model_has_its_own_vectors(path: Path) -> None:
    VectorCache(path, "one").put(["a"], np.ones((1, 2), np.float32))
    assert VectorCache(path, "two").get(["a"]) == {}


def test_without_a_file_nothing_is_kept() -> None:
    cache = VectorCache(None, "model")
    cache.put(["a"], np.ones((1, 2), np.float32))
    assert cache.get(["a"]) == {}


def test_more_texts_than_a_query_takes(path: Path) -> None:
    texts = [f"text {n}" for n in range(1201)]
    vectors = np.arange(2402, dtype=np.float32).reshape(-1, 2)
    cache = VectorCache(path, "model")
    cache.put(texts, vectors)
    found = cache.get(texts)
    assert np.array_equal(np.stack([found[text] for text in texts]), vectors)


def test_an_altered_vector_is_embedded_again(path: Path) -> None:
    cache = VectorCache(path, "model")
    cache.put(["a", "b"], np.ones((2, 2), np.float32))
    key = cache._key("a")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE vectors SET vector = ? WHERE key = ?", (b"12345678", key))
    database.close()
    assert set(cache.get(["a", "b"])) == {"b"}


def test_vectors_that_changed_places_are_embedded_again(path: Path) -> None:
    cache = VectorCache(path, "model")
    cache.put(["a", "b", "c"], np.arange(6, dtype=np.float32).reshape(3, 2))
    keys = [cache._key(text) for text in "ab"]
    with sqlite3.connect(path) as database:
        found = [
            database.execute("SELECT vector, checksum FROM vectors WHERE key = ?", [key]).fetchone()
            for key in keys
        ]
        for key, row in zip(keys, found[::-1], strict=True):
            database.execute(
                "UPDATE vectors SET vector = ?, checksum = ? WHERE key = ?", [*row, key]
            )
    database.close()
    assert set(cache.get(["a", "b", "c"])) == {"c"}


def test_the_vectors_of_an_earlier_version_are_found(path: Path) -> None:
    cache = VectorCache(path, "model")
    cache.put(["a", "b"], np.ones((2, 2), np.float32))
    with sqlite3.connect(path) as database:  # as they were: the checksum of the vector alone
        for (vector,) in database.execute("SELECT vector FROM vectors").fetchall():
            database.execute("UPDATE vectors SET checksum = ?", [zlib.crc32(vector)])
        database.execute("UPDATE vectors SET checksum = 1 WHERE key = ?", [cache._key("b")])
        database.execute("PRAGMA user_version = 0")
    database.close()
    assert set(cache.get(["a", "b"])) == {"a"}


@pytest.mark.parametrize("content", [b"no data base" * 100, b""])
def test_a_damaged_file_is_filled_anew(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    embedder, cache = Lengths(), VectorCache(path, "model")
    assert embedder.encode_new(["a"], cache)[1] == 1
    assert path.with_suffix(".damaged").exists() is bool(content)
    assert set(cache.get(["a"])) == {"a"}


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="check its permissions"):
        VectorCache(tmp_path / "file" / FILE, "model").put(["a"], np.ones((1, 2), np.float32))
