"""Fixtures shared by the whole suite."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

import flows  # noqa: F401  its environment defaults must be set before Prefect is imported

if TYPE_CHECKING:
    from recsys_core.datasets.config import TmdbConfig
    from tests.fake_tmdb import FakeTmdb

ROOT = Path(__file__).resolve().parents[1]

# Machines that run the suite differ in speed and load: a property is about values, not time.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it skip where it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A temporary Prefect server on loopback, for the tests of steps and flows."""
    from prefect.settings import (
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOCAL_STORAGE_PATH,
        temporary_settings,
    )
    from prefect.testing.utilities import prefect_test_harness

    storage: Path = tmp_path_factory.mktemp("results")
    # The harness does not isolate persisted results; the heartbeat's thread costs a second a flow.
    settings = {PREFECT_LOCAL_STORAGE_PATH: storage, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with prefect_test_harness(server_startup_timeout=180), temporary_settings(settings):
        yield


@pytest.fixture
def tmdb(monkeypatch: pytest.MonkeyPatch) -> Iterator["FakeTmdb"]:
    """A fake TMDB on loopback."""
    from tests.fake_tmdb import FILMS, serving

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(FILMS) as server:
        yield server


@pytest.fixture
def tmdb_config(tmdb: "FakeTmdb", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "TmdbConfig":
    """Parameters that lead to the fake TMDB, with a cache of the test's own and short waits."""
    from recsys_core.datasets.config import TmdbConfig
    from recsys_core.datasets.tmdb import client

    monkeypatch.setattr(client, "BACKOFF_S", 0.01)
    return TmdbConfig(
        base_url=tmdb.url, cache_file=str(tmp_path / "tmdb" / "answers.sqlite"), timeout_s=5.0,
        requests_per_10_s=1000, max_attempts=4,
    )  # fmt: skip
