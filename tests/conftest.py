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


@pytest.fixture(scope="session", autouse=True)
def _watch_ends_no_test_process() -> Iterator[None]:
    """Command lines that run in the tests' own process: a slow server fails a test there, by its
    time-out; it does not end the process, and all other tests with it, without a word."""
    from flows.command_line import watch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "PATIENCE_S", 3600.0)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it skip where it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A temporary Prefect server on loopback, for the tests of steps and flows.

    Prefect's own `prefect_test_harness` sends what is left of logs and events before it ends, with
    no limit of time; it hung for ever after tests whose server had gone away.
    """
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOCAL_STORAGE_PATH,
        PREFECT_SERVER_DATABASE_CONNECTION_URL,
        temporary_settings,
    )

    place: Path = tmp_path_factory.mktemp("prefect")
    settings = {
        PREFECT_SERVER_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{place}/prefect.db",
        PREFECT_LOCAL_STORAGE_PATH: place / "results",
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # its thread costs a second a flow
    }
    with temporary_settings(settings):
        server = SubprocessASGIServer()
        server.start(timeout=180)
        try:
            with temporary_settings({PREFECT_API_URL: server.api_url}):
                yield
        finally:
            for worker in (EventsWorker, APILogWorker):
                worker.drain_all(timeout=10)
            server.stop()


@pytest.fixture
def no_limits_left(prefect_server: None) -> Iterator[None]:
    """Remove what `deployments.setup` sets: a run that another test kills keeps its slot for ever
    on a server without the services that release it, and later runs would wait for it."""
    from prefect.client.orchestration import get_client

    yield
    with get_client(sync_client=True) as client:
        for one in client.read_concurrency_limits(limit=100, offset=0):
            client.delete_concurrency_limit_by_tag(one.tag)
        assert client.read_concurrency_limits(limit=100, offset=0) == []


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
    monkeypatch.setattr(client, "TIMEOUT_S", 5.0)
    monkeypatch.setattr(client, "MAX_ATTEMPTS", 4)
    return TmdbConfig(
        base_url=tmdb.url, cache_file=str(tmp_path / "tmdb" / "answers.sqlite"),
        requests_per_10_s=1000,
    )  # fmt: skip
