"""What every flow looks at before its first step."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from flows.stages import check_ready
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


WRITER = """
    import sys, time
    from pathlib import Path
    from recsys_core.artifacts import ArtifactStore
    from recsys_core.processes import temporary_name

    root, runs = sys.argv[1:]
    out = ArtifactStore(root=root).writer("lists", "k" * 64)
    out.data("notes.txt", b"half")
    out.scratch._filesystem.create_dir(out.scratch._folder)
    Path(out.scratch._folder, temporary_name("epoch")).write_bytes(b"half")
    run = Path(runs, temporary_name("mine"))
    run.mkdir(parents=True)
    (run / "summary.json").write_text("{")
    print("written", flush=True)
    time.sleep(60)
"""


def test_leftovers_of_killed_writers_are_swept_when_the_next_run_starts(tmp_path: Path) -> None:
    config = RunConfig(**places(tmp_path))
    command = [sys.executable, "-c", textwrap.dedent(WRITER), *places(tmp_path).values()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "written\n"
            check_ready(config)
            assert len(list(tmp_path.rglob("*.tmp"))) == 3, "the writer still runs"
        finally:
            process.kill()
    foreign = tmp_path / "artifacts" / "lists" / ".mine.00000000-1-1-00000000.tmp"
    foreign.write_text("of another machine, or of nobody that we know")
    check_ready(config)
    assert list(tmp_path.rglob("*.tmp")) == [foreign]
