"""Backing up and restoring: everything comes back, and nothing is overwritten."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deployments.backup import main, places


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An artifact, one that is being written, a run, and two databases."""
    here = tmp_path / "here"
    for name, text in {
        "artifacts/train/k/manifest.json": "{}",
        "artifacts/train/k/t.parquet": "rows",
        "artifacts/train/.k2.tmp/t.parquet": "half",
        "runs/one/report.html": "page",
    }.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text)
    (here / "runs" / "latest").symlink_to("one")
    for name in ("prefect.db", "artifacts/llm.sqlite"):
        with closing(sqlite3.connect(here / name)) as database, database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE answers (text TEXT)")
            database.execute("INSERT INTO answers VALUES ('bought')")
    use(monkeypatch, here)
    return here


def use(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("RECSYS_ARTIFACTS", str(place / "artifacts"))
    monkeypatch.setenv("RECSYS_RUNS", str(place / "runs"))
    url = f"sqlite+aiosqlite:///{place / 'prefect.db'}"
    monkeypatch.setattr("deployments.backup.database_url", lambda: url)


def test_everything_comes_back(place: Path, tmp_path: Path, monkeypatch) -> None:
    backup, there = tmp_path / "backup", tmp_path / "there"
    with closing(sqlite3.connect(place / "artifacts" / "llm.sqlite")) as writer:
        writer.execute("INSERT INTO answers VALUES ('not committed')")
        assert main([str(backup)]) == 0
    use(monkeypatch, there)
    assert main(["--restore", str(backup)]) == 0
    assert (there / "artifacts/train/k/t.parquet").read_text() == "rows"
    assert not list(there.rglob("*.tmp")), "what is being written is no artifact yet"
    assert (there / "runs/latest/report.html").read_text() == "page"
    for name in ("prefect.db", "artifacts/llm.sqlite"):
        with closing(sqlite3.connect(there / name)) as database:
            assert database.execute("SELECT text FROM answers").fetchall() == [("bought",)]


def test_nothing_is_overwritten(place: Path, tmp_path: Path, capsys) -> None:
    backup = tmp_path / "backup"
    assert main([str(backup)]) == 0
    assert main([str(backup)]) == 1
    assert main(["--restore", str(backup)]) == 1
    assert "is not empty" in capsys.readouterr().err


def test_a_folder_without_a_backup_is_said(place: Path, tmp_path: Path, capsys) -> None:
    assert main(["--restore", str(tmp_path / "none")]) == 1
    assert "holds no backup" in capsys.readouterr().err


def test_postgres_and_buckets_are_left_to_their_own_tools(monkeypatch, capsys) -> None:
    monkeypatch.setenv("RECSYS_ARTIFACTS", "s3://bucket/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("deployments.backup.database_url", lambda: "postgresql+asyncpg://h/prefect")
    assert set(places()) == {"runs"}
    assert "pg_dump" in capsys.readouterr().out
