"""What every flow looks at before its first step."""

from pathlib import Path

import pytest
import torch

from flows._stages import check_ready
from flows.train import train
from recsys_core.config import RunConfig
from recsys_core.errors import ConfigError, StorageError
from recsys_core.graph.config import GraphConfig


def places(folder: Path) -> dict[str, str]:
    return {"artifact_root": str(folder / "artifacts"), "runs_root": str(folder / "runs")}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what is to be missing")
def test_training_on_a_gpu_that_is_not_there_fails_before_any_step(tmp_path: Path) -> None:
    config = RunConfig(graph=GraphConfig(device="cuda"), **places(tmp_path))
    with pytest.raises(ConfigError, match="cuda") as stop:
        train.fn(config)
    assert "device" in str(stop.value)
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_auto_needs_no_gpu(tmp_path: Path) -> None:
    check_ready(RunConfig(**places(tmp_path)))


@pytest.mark.parametrize("which", ["artifact_root", "runs_root"])
def test_a_place_that_cannot_be_written_ends_the_run(tmp_path: Path, which: str) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="Cannot write to"):
        check_ready(RunConfig(**places(tmp_path) | {which: str(tmp_path / "file" / "below")}))


def test_the_forms_name_stands_for_the_workers_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_ARTIFACTS", "s3://bucket/recsys")
    monkeypatch.delenv("RECSYS_RUNS", raising=False)
    config = RunConfig(artifact_root="$RECSYS_ARTIFACTS", runs_root="$RECSYS_RUNS")
    assert (config.artifact_root, config.runs_root) == ("s3://bucket/recsys", "runs")
