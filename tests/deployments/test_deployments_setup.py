"""Setup and the CI call against a server: what is made, and what is told when something is off."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.settings.models.flows import FlowsSettings
from prefect.states import Completed, Crashed, Running

from deployments import ci_run, setup
from tasks.runtime.prefect_artifacts import HEADLINE_KEY

DOWN = "http://127.0.0.1:9/api"


@pytest.mark.parametrize("program", [setup.main, ci_run.main])
def test_no_server_set_is_one_message(program, capsys) -> None:
    with temporary_settings({PREFECT_API_URL: None}):
        assert program([]) != 0
    assert "PREFECT_API_URL is not set" in capsys.readouterr().err


@pytest.mark.parametrize("program", [setup.main, ci_run.main])
def test_a_server_that_is_down_is_one_message(program, capsys) -> None:
    with temporary_settings({PREFECT_API_URL: DOWN}):
        assert program([]) != 0
    told = capsys.readouterr().err
    assert f"The Prefect server at {DOWN} does not answer" in told
    assert "start it" in told


def test_setup_twice_is_setup_once(prefect_server: None) -> None:
    for _ in range(2):
        assert setup.main(["--no-deploy"]) == 0
    pools, limits, automations = asyncio.run(made())
    assert {"cpu": "process", "docker": "docker", "gpu": "docker"}.items() <= pools.items()
    assert setup.TAG_LIMITS.items() <= limits.items()
    assert automations == 1


async def made() -> tuple[dict[str, str], dict[str, int], int]:
    async with get_client() as client:
        pools = {pool.name: pool.type for pool in await client.read_work_pools()}
        found = await client.read_concurrency_limits(limit=50, offset=0)
        automations = await client.read_automations()
    limits = {one.tag: one.concurrency_limit for one in found}
    return pools, limits, sum(one.name == setup.ZOMBIES for one in automations)


def test_a_silent_run_is_crashed_by_the_automation() -> None:
    made: Automation = setup.crash_zombies()
    assert made.trigger.within == setup.SILENCE
    assert "prefect.flow-run.Completed" in made.trigger.expect, "an ended run is not silent"


def test_a_run_that_is_alive_is_not_taken_for_dead() -> None:
    between = FlowsSettings.model_fields["heartbeat_frequency"].default
    assert setup.SILENCE.total_seconds() > 3 * between


@flow(name="judged")
def judged(config: dict[str, Any] | None = None) -> None:
    """Stands for the pipeline: CI looks at its deployment, not at what it computes."""


@pytest.fixture
def deployment(prefect_server: None) -> str:
    """A deployment in the pool `cpu`, which has no worker."""
    assert setup.main(["--no-deploy"]) == 0

    async def create() -> None:
        async with get_client() as client:
            made = await client.create_flow(judged)
            schema = {"properties": {"config": {"type": "object"}}}
            await client.create_deployment(
                made, "ci", work_pool_name="cpu", parameter_openapi_schema=schema
            )

    asyncio.run(create())
    return "judged/ci"


def test_a_pool_without_workers_is_told_at_once(deployment: str, capsys) -> None:
    assert ci_run.main(["--deployment", deployment]) == ci_run.NO_WORKER
    assert "prefect worker start --pool cpu" in capsys.readouterr().err


def test_an_unknown_deployment(deployment: str, capsys) -> None:
    assert ci_run.main(["--deployment", "judged/other"]) == ci_run.NOT_STARTED
    assert "no deployment 'judged/other'" in capsys.readouterr().err


def test_an_unknown_parameter_would_start_and_fail(deployment: str, capsys) -> None:
    called = ["--deployment", deployment, "--param", "konfig={}"]
    assert ci_run.main(called) == ci_run.NOT_STARTED
    assert "no such parameter: konfig={}" in capsys.readouterr().err


@pytest.fixture
def running(deployment: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """CI with a run that ends at once; the dictionary holds the NDCG that it will publish."""
    publishes = {"ndcg": 0.45}

    async def ready(*_: object) -> None:
        """As if a worker were there."""

    def start(_: object, name: str) -> None:
        rows = [{"method": "served", **publishes}, {"method": "ease", "ndcg": 0.3}]
        asyncio.run(publish(name, rows))

    monkeypatch.setattr(ci_run, "check_ready", ready)
    monkeypatch.setattr(ci_run, "start", start)
    return publishes


async def publish(name: str, rows: list[dict[str, Any]]) -> None:
    from prefect.client.schemas.actions import ArtifactCreate

    async with get_client() as client:
        run = await client.create_flow_run(judged, name=name, state=Completed())
        table = ArtifactCreate(
            key=HEADLINE_KEY, type="table", data=json.dumps(rows), flow_run_id=run.id
        )
        await client.create_artifact(table)


def test_accept_then_hold(running: dict[str, float], tmp_path: Path, capsys) -> None:
    call = ["--accepted", str(tmp_path / "accepted.json")]
    assert ci_run.main([*call, "--accept", "--run-name", "one"]) == 0
    assert "Accepted: served, ndcg@10 0.4500" in capsys.readouterr().out
    running["ndcg"] = 0.445
    assert ci_run.main([*call, "--run-name", "two"]) == 0
    assert "served               ndcg 0.4450" in capsys.readouterr().out
    running["ndcg"] = 0.43
    assert ci_run.main([*call, "--run-name", "three"]) == ci_run.BELOW_THE_GATE
    assert "0.4300, 0.4500 in the accepted run one" in capsys.readouterr().err
    assert ci_run.main([*call, "--max-drop", "0.05", "--run-name", "four"]) == 0


@pytest.mark.parametrize(
    ("state", "well"), [(Completed(), True), (Crashed(), False), (Running(), False)]
)
def test_the_run_counts_and_not_the_command_that_watched_it(deployment, state, well) -> None:
    name = f"watched-{state.type.value}"

    async def create() -> None:
        async with get_client() as client:
            await client.create_flow_run(judged, name=name, state=state)

    asyncio.run(create())
    assert asyncio.run(ci_run.ended_well(name, late=time.monotonic() - 1)) is well


def test_a_run_that_was_never_made_did_not_end_well(deployment) -> None:
    assert not asyncio.run(ci_run.ended_well("never", late=time.monotonic() + 60))
