"""A step that is about to wait for a slot says so."""

import pytest
from prefect.client.orchestration import get_client

from tasks.runtime.server import slots


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(slots, "tell", found.append)
    return found


def test_taken_slots_are_told_and_free_ones_are_not(prefect_server: None, told) -> None:
    with get_client(sync_client=True) as client:
        client.create_concurrency_limit(tag="gpu-test", concurrency_limit=1)
        slots.tell_if_waiting("train", {"recsys", "train", "gpu-test", "no-limit"})
        assert told == []
        client.increment_v1_concurrency_slots(
            names=["gpu-test"], task_run_id="00000000-0000-0000-0000-000000000001"
        )
        slots.tell_if_waiting("train", {"recsys", "train", "gpu-test", "no-limit"})
    (line,) = told
    assert line.startswith("train waits: 1 of 1 slots of the tag gpu-test are taken")
