"""A server with everything deployed and one worker, for the tests that need the real thing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local_server import LocalServer, serving
from tests.small_data import SCALE, write_small

KEY_NAME = "RECSYS_TEST_KEY"
KEY = "sk-never-to-be-seen-4711-0815"
"""What the worker's environment holds as the key of a language model."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, unless the marker is asked for."""
    if "server" in (config.option.markexpr or ""):
        return
    skip = pytest.mark.skip(reason="takes minutes: make test ARGS='-m server'")
    for item in items:
        if item.get_closest_marker("server"):
            item.add_marker(skip)


@pytest.fixture(scope="package")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server after the one documented command, with a worker of the pool `cpu`."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        done = server.call("deployments.setup")
        assert done.returncode == 0, done.stdout + done.stderr
        server.worker("cpu", **{KEY_NAME: KEY})
        yield server


@pytest.fixture(scope="package")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small data set."""
    return write_small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="package")
def first(deployed: LocalServer, small: Path) -> str:
    """A complete run of the small pipeline; its id."""
    run = deployed.run_id("personalize/personalize", {"config": config_of(small)})
    state = deployed.end_of(run)
    assert state["name"] == "Completed", state["message"] + deployed.log("worker-cpu")[-3000:]
    return run


def config_of(data: Path, **more: Any) -> dict[str, Any]:
    """The small pipeline on `data`."""
    return {
        "data": {"source": str(data), **SCALE},
        "graph": {"max_epochs": 5, "layers": 1, "hidden": 8, "heads": 2, "effort": "quick"},
        "evaluation": {"bootstrap": 0},
        **more,
    }
