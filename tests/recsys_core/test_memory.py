from pathlib import Path

import pytest

from recsys_core import memory
from recsys_core.memory import memory_limit


def test_what_is_configured_counts() -> None:
    assert memory_limit(2.0) == 2 * 2**30


def test_a_containers_limit_counts_below_the_machines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = memory_limit()
    limit, without = tmp_path / "memory.max", tmp_path / "none"
    limit.write_text("100000000\n")
    monkeypatch.setattr(memory, "_GROUPS", (str(limit), str(without)))
    assert memory_limit() == 50_000_000 < machine
    limit.write_text("max\n")
    assert memory_limit() > 50_000_000
