"""The benchmark of components, in miniature: what it prints can be read."""

import json

import pytest

from tests.benchmarks import bench_components, fit_components
from tests.benchmarks.bars import Bars


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")  # of elsarec
def test_a_size_is_fitted_and_measured(capsys: pytest.CaptureFixture[str]) -> None:
    fit_components.main(80, 40, 700)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["seconds"] > 0
    assert found["cpu_seconds"] > 0
    assert found["epoch_peak_gib"] >= found["peak_gib"] > 0.05
    assert found["epoch_seconds"] > 0
    assert {"implicit_als_cpu_seconds", "lapack_ease_cpu_seconds", "elsa_epoch_cpu_seconds"} < set(
        found
    )


def test_lists_of_a_sum_are_timed_beside_the_product(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"LARGE": (200, 300, 900), "WIDTH": 8, "PER_ROW": 5, "USERS": 90}.items():
        monkeypatch.setattr(bench_components, name, value)
    bench_components.top(Bars())
    assert "of the time of the product alone" in capsys.readouterr().out
