"""Pruning: the last runs keep what they rest on, the rest goes, and a dry run touches nothing."""

import json
import os
from pathlib import Path

import polars as pl
import pytest

from deployments.prune import main
from recsys_core.artifacts import ArtifactRef, ArtifactStore

SCHEMA = {"n": pl.Int64}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Three runs of two steps each, the second built from the first; all of them days old."""
    for day in (1, 2, 3):
        data = made(tmp_path, "ingest", day)
        lists = made(tmp_path, "explain", day, data)
        # The summary names the lists alone: what they were built from must stay with them.
        summary(tmp_path, day, lists)
    (tmp_path / "artifacts" / "llm.sqlite").write_text("answers")
    (tmp_path / "runs" / "latest").symlink_to("run-3")
    return tmp_path


def made(place: Path, step: str, day: int, *inputs: ArtifactRef) -> ArtifactRef:
    store = ArtifactStore(root=str(place / "artifacts"))
    with store.writer(step, f"key{day}") as out:
        given = {f"in{n}": one.content_hash for n, one in enumerate(inputs)}
        out.table("t", pl.DataFrame({"n": [day, len(step)]}), SCHEMA)
        ref = out.commit(
            version="1", parameters={}, inputs=given,
            built_by="x", seconds=0.0, peak_memory_mib=0.0,
        )  # fmt: skip
    for path in [*(place / "artifacts" / step / f"key{day}").iterdir()]:
        os.utime(path, (day, day))
    return ref


def summary(place: Path, day: int, ref: ArtifactRef) -> None:
    """What prune reads of a run's summary; versions differ in the rest."""
    told = {
        "run_name": f"run-{day}",
        "created": f"2026-11-0{day}T00:00:00Z",
        "steps": [{"step": "explain", "artifact": ref.uri}],
        "of_another_version": True,
    }
    folder = place / "runs" / f"run-{day}"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(told))


def call(place: Path, *more: str) -> int:
    places = ["--artifacts", str(place / "artifacts"), "--runs", str(place / "runs")]
    return main([*places, *more])


def left(place: Path) -> set[str]:
    return {f"{one.parent.name}/{one.name}" for one in (place / "artifacts").glob("*/*")}


def test_the_last_runs_keep_what_they_rest_on(place: Path, capsys) -> None:
    assert call(place, "--keep-last", "2") == 0
    assert left(place) == {"ingest/key2", "ingest/key3", "explain/key2", "explain/key3"}
    assert (place / "artifacts" / "llm.sqlite").exists()
    assert "Removed 2 artifacts" in capsys.readouterr().out


def test_the_run_that_serves_keeps_what_it_rests_on(place: Path) -> None:
    told = {"promotions": [
        {"run": name, "at": "2026-11-05T00:00:00Z", "why": "by hand"}
        for name in ("run-2", "run-1", "run-3")
    ]}  # fmt: skip
    (place / "runs" / "served.json").write_text(json.dumps(told))
    assert call(place, "--keep-last", "1", "--younger-than", "0") == 0
    kept = {path.name for path in (place / "artifacts" / "explain").iterdir()}
    assert kept == {"key3", "key1"}, "the one that serves, and the one to go back to"


def test_lists_without_training_take_no_run_its_place(place: Path) -> None:
    summary(place, 4, made(place, "explain", 4))
    path = place / "runs" / "run-4" / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"statuses": {"known": 1}}))
    assert call(place, "--keep-last", "1", "--younger-than", "0") == 0
    kept = {path.name for path in (place / "artifacts" / "explain").iterdir()}
    assert kept == {"key3"}


def test_a_dry_run_says_the_same_and_removes_nothing(place: Path, capsys) -> None:
    before = left(place)
    assert call(place, "--keep-last", "1", "--dry-run") == 0
    assert left(place) == before
    told = capsys.readouterr().out
    assert "Would remove 4 artifacts" in told
    assert "ingest/key1" in told


def test_what_is_young_may_belong_to_a_run_in_progress(place: Path) -> None:
    os.utime(place / "artifacts" / "ingest" / "key1" / "t.parquet")
    assert call(place, "--keep-last", "1") == 0
    assert "ingest/key1" in left(place)
    assert call(place, "--keep-last", "1", "--younger-than", "0") == 0
    assert left(place) == {"ingest/key3", "explain/key3"}


def test_without_runs_nothing_is_removed(place: Path, capsys) -> None:
    before = left(place)
    assert call(place, "--keep-last", "1", "--runs", str(place / "elsewhere")) == 2
    assert "There is no run in" in capsys.readouterr().err
    assert left(place) == before


def test_artifacts_of_another_version_can_go(place: Path) -> None:
    manifest = place / "artifacts" / "explain" / "key2" / "manifest.json"
    manifest.write_text('{"schema_version": 0}')
    os.utime(manifest, (2, 2))
    assert call(place, "--keep-last", "1") == 0
    assert left(place) == {"ingest/key3", "explain/key3"}


def test_a_file_that_is_no_summary_stops_it(place: Path, capsys) -> None:
    (place / "runs" / "run-1" / "summary.json").write_text("{}")
    assert call(place, "--keep-last", "1") == 2
    assert "run-1" in capsys.readouterr().err


def test_a_bucket_is_refused(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert main(["--keep-last", "1", "--artifacts", "s3://bucket/x"]) == 2
    assert "lifecycle rule" in capsys.readouterr().err
