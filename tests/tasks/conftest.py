"""A Prefect server for the tests of steps and flows: temporary, on loopback, once per session."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import flows  # noqa: F401  its environment defaults must be set before Prefect is imported

os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")


@pytest.fixture(scope="session", autouse=True)
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    storage: Path = tmp_path_factory.mktemp("results")
    # The harness does not isolate persisted results.
    with (
        prefect_test_harness(server_startup_timeout=180),
        temporary_settings({PREFECT_LOCAL_STORAGE_PATH: storage}),
    ):
        yield
