"""A cache that lost or changed its bytes is one message, never a new cache in silence."""

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_core.errors import StorageError
from recsys_core.llm.store import leases
from recsys_core.llm.store.answers import AnswerCache
from tests.recsys_core.llm.store.test_store_answers import record


def header(file: Path) -> None:
    file.write_bytes(b"no data base at all!" + file.read_bytes()[20:])


def zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def emptied(file: Path) -> None:
    file.write_bytes(b"")
    os.utime(file, (0, 0))


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def altered(file: Path) -> None:
    content, chance = bytearray(file.read_bytes()), random.Random(2)
    for _ in range(400):
        content[chance.randrange(100, len(content))] ^= 0xFF
    file.write_bytes(content)


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def circle(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def other(file: Path) -> None:
    file.unlink()
    database = sqlite3.connect(file)
    database.execute("CREATE TABLE calls (id)")
    database.close()


DAMAGED = [header, zeros, emptied, truncated, altered]


@pytest.mark.parametrize("harm", [*DAMAGED, pipe, folder, circle, other])
def test_a_damaged_cache_is_one_message(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    file = tmp_path / "llm.sqlite"
    fill(file)
    harm(file)
    with pytest.raises(StorageError, match=r"llm\.sqlite does not work") as error:
        AnswerCache(f"sqlite:///{file}")
    assert ("restore it from a backup" in str(error.value)) is (harm in DAMAGED)


def fill(file: Path) -> None:
    async def work() -> None:
        cache = AnswerCache(f"sqlite:///{file}")
        await asyncio.gather(*[cache.put(record(f"k{number}")) for number in range(40)])
        await cache.close()

    asyncio.run(work())


def test_what_was_paid_for_soon_stands_in_the_file_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log (-wal) that is removed, or damaged, loses what it holds, and SQLite says nothing."""
    monkeypatch.setattr(leases, "BEAT_S", 0.1)
    alone = tmp_path / "alone" / "llm.sqlite"
    alone.parent.mkdir()

    async def work() -> None:
        cache = AnswerCache(f"sqlite:///{tmp_path / 'llm.sqlite'}")
        cache.open_session("s")
        await cache.put(record("paid"))
        assert (tmp_path / "llm.sqlite-wal").stat().st_size
        await asyncio.sleep(0.5)
        shutil.copy(tmp_path / "llm.sqlite", alone)
        await cache.close()
        kept = AnswerCache(f"sqlite:///{alone}")
        assert await kept.get("paid") is not None
        await kept.close()

    asyncio.run(work())
