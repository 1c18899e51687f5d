"""A training that is killed (kill -9) goes on from its checkpoint, to the same bytes."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pyarrow.fs import LocalFileSystem

from recsys_core.artifacts import ArtifactStore
from recsys_core.artifacts.partial import FOLDER, Scratch
from recsys_core.errors import StorageError
from recsys_core.graph.config import GraphConfig
from tests.conftest import ROOT
from tests.graph_world import CONFIGS, KILLABLE, result, run


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(LocalFileSystem(), str(tmp_path))


def test_kill_9_costs_the_epochs_since_the_checkpoint_and_changes_nothing(
    tmp_path: Path, scratch: Scratch
) -> None:
    # As many threads as here: `paper` has other bytes with another number, and the environment
    # may say otherwise to a new process (by OMP_NUM_THREADS or MKL_NUM_THREADS).
    threads = str(torch.get_num_threads())
    command = [sys.executable, "-m", "tests.graph_world", str(tmp_path), "paper", threads]
    heard: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for said in process.stdout:
            heard.append(said.strip())
            if heard.count("epoch 6") == 2:  # of the final fit
                os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    config = KILLABLE["paper"]
    trained = run(config, scratch=scratch)
    assert trained.facts["epochs_from_checkpoints"] >= config.max_epochs + 4
    assert trained.best_epoch > 6
    assert result(trained) == result(run(config))


def interrupted(config: GraphConfig, scratch: Scratch, **changes: object) -> None:
    def stop(epoch: int, *_: object) -> None:
        if epoch == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, on_epoch=stop, scratch=scratch, **changes)


BEST = KILLABLE["best"]


@pytest.mark.parametrize("preset", CONFIGS)
def test_an_interrupted_training_goes_on(preset: str, scratch: Scratch) -> None:
    config = KILLABLE[preset]
    interrupted(config, scratch)
    trained = run(config, scratch=scratch)
    assert trained.facts["epochs_from_checkpoints"] == 8
    whole = run(config)
    assert result(trained) == result(whole)
    assert trained.curves.equals(whole.curves)


def test_how_often_checkpoints_are_written_changes_nothing(scratch: Scratch) -> None:
    seldom = BEST.model_copy(update={"checkpoint_every": 0})
    assert result(run(BEST, scratch=scratch)) == result(run(seldom))


def test_zero_writes_none(scratch: Scratch, tmp_path: Path) -> None:
    run(BEST.model_copy(update={"checkpoint_every": 0}), scratch=scratch)
    assert list(tmp_path.iterdir()) == []


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def altered(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def nonsense(_: bytes) -> bytes:
    return b"no safetensors"


def empty(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [truncated, altered, nonsense, empty])
def test_a_damaged_checkpoint_is_told_and_not_used(
    damage: object, scratch: Scratch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(BEST, scratch)
    file = tmp_path / FOLDER / "search.safetensors"
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        trained = run(BEST, scratch=scratch)
    assert "starts from the beginning" in caplog.text
    assert trained.facts["epochs_from_checkpoints"] == 0
    assert result(trained) == result(run(BEST))


@pytest.mark.parametrize(
    ("config", "seed"), [(BEST.model_copy(update={"dropout": 0.3}), 0), (BEST, 1)]
)
def test_another_trainings_checkpoint_is_told_and_not_used(
    config: GraphConfig, seed: int, scratch: Scratch, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(BEST, scratch)
    with caplog.at_level(logging.WARNING):
        trained = run(config, seed=seed, scratch=scratch)
    assert "another training" in caplog.text
    assert result(trained) == result(run(config, seed=seed))


def test_a_full_disk_stops_checkpoints_but_not_the_training(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise StorageError("No space left on device")

    monkeypatch.setattr(scratch, "write", full)
    trained = run(BEST, scratch=scratch)
    assert trained.facts["checkpoints_not_written"] > 0
    assert "No space left" in caplog.text


def test_a_half_written_file_is_none(scratch: Scratch, tmp_path: Path) -> None:
    scratch.write("a", b"1")
    scratch.write("a", b"2")
    (tmp_path / FOLDER / ".b.1234.tmp").write_bytes(b"half")
    assert (scratch.read("a"), scratch.read("b")) == (b"2", None)
    scratch.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_is_unfinished_outlives_an_error_and_ends_with_the_commit(tmp_path: Path) -> None:
    store = ArtifactStore(root=str(tmp_path))
    with pytest.raises(KeyboardInterrupt), store.writer("train", "key") as out:
        out.scratch.write("search.safetensors", b"so far")
        raise KeyboardInterrupt
    assert store.find("train", "key") is None
    with store.writer("train", "key") as out:
        assert out.scratch.read("search.safetensors") == b"so far"
        out.data("weights.safetensors", b"all")
        out.commit(version="1", parameters={}, inputs={}, built_by="", seconds=1, peak_memory_mib=1)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        "manifest.json", "weights.safetensors",
    }  # fmt: skip
