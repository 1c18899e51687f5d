"""The script for a machine with a GPU, rehearsed on the CPU, without DGL and Prefect."""

import sys
from pathlib import Path

import pytest
import torch

from tests.benchmarks import gpu


def test_it_runs_without_dgl_and_prefect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("dgl", "prefect"):
        monkeypatch.setitem(sys.modules, name, None)
    smallest = ["--device", "cpu", "--edges", "4000", "--epochs", "2", "--data", str(tmp_path)]
    assert gpu.main(smallest) == 0
    shown = capsys.readouterr().out
    assert shown.count("NDCG@10 on test: 0 (") == 6  # three data sets, two presets
    assert "ml-1m (synthetic)" in shown


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == gpu.NO_GPU
    assert "sees no CUDA device" in capsys.readouterr().err
