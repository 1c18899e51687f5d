"""Setup and the CI call against a server: what is made, and what is told when something is off."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.automations import Automation
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.settings.models.flows import FlowsSettings
from prefect.states import Completed, Crashed, Failed, Running

from deployments import ci_run, setup
from tasks.runtime.server.prefect_artifacts import HEADLINE_KEY

pytestmark = pytest.mark.usefixtures("no_limits_left")
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
def running(deployment: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """CI with a run that ends at once; the dictionary holds the NDCG that it will publish."""
    publishes: dict[str, Any] = {"ndcg": 0.45}

    async def ready(*_: object) -> None:
        """As if a worker were there."""

    async def run_to_end(_: str, name: str, *__: object) -> UUID:
        values = {name: value for name, value in publishes.items() if name == "ndcg"}
        rows = [{"method": "served", **values}, {"method": "ease", "ndcg": 0.3}]
        return await publish(name, [row | {"data": publishes.get("data", "shop")} for row in rows])

    monkeypatch.setattr(ci_run, "check_ready", ready)
    monkeypatch.setattr(ci_run, "run_to_end", run_to_end)
    monkeypatch.setattr(ci_run, "emit_below_gate", lambda *told: publishes.update(told=told))
    return publishes


async def publish(name: str, rows: list[dict[str, Any]]) -> UUID:
    from prefect.client.schemas.actions import ArtifactCreate

    async with get_client() as client:
        run = await client.create_flow_run(judged, name=name, state=Completed())
        table = ArtifactCreate(
            key=HEADLINE_KEY, type="table", data=json.dumps(rows), flow_run_id=run.id
        )
        await client.create_artifact(table)
    return run.id


def test_accept_then_hold(running: dict[str, Any], tmp_path: Path, capsys) -> None:
    call = ["--accepted", str(tmp_path / "accepted.json")]
    assert ci_run.main([*call, "--accept", "--run-name", "one"]) == 0
    assert "Accepted: served, ndcg@10 0.4500" in capsys.readouterr().out
    running["ndcg"] = 0.445
    assert ci_run.main([*call, "--run-name", "two"]) == 0
    assert "served               ndcg 0.4450" in capsys.readouterr().out
    running["ndcg"] = 0.43
    assert ci_run.main([*call, "--run-name", "three"]) == ci_run.BELOW_THE_GATE
    assert "0.4300, 0.4500 in the accepted run one" in capsys.readouterr().err
    assert "0.4300" in running["told"][2], "who waits for the event is told why"
    assert ci_run.main([*call, "--max-drop", "0.05", "--run-name", "four"]) == 0
    running["data"] = "ml-1m"
    assert ci_run.main([*call, "--run-name", "five"]) == ci_run.BELOW_THE_GATE
    assert "measured on other rows (data shop)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "state", [Crashed(message="out of memory"), Failed(message="no such file")]
)
def test_the_message_of_a_run_that_failed_is_told(deployment, monkeypatch, capsys, state) -> None:
    ends_as(monkeypatch, state)
    assert ci_run.main(["--deployment", deployment, "--run-name", "x"]) == ci_run.FAILED
    assert f"x ended as {state.name}: {state.message}" in capsys.readouterr().err


def test_a_run_that_takes_too_long_is_cancelled(deployment, monkeypatch, capsys) -> None:
    ends_as(monkeypatch, Running())
    name = "too-long"
    call = ["--deployment", deployment, "--run-name", name, "--timeout", "1"]
    assert ci_run.main(call) == ci_run.FAILED
    assert "did not end within 1 s (Running); it was cancelled" in capsys.readouterr().err

    async def state() -> str:
        chosen = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
        async with get_client() as client:
            (run,) = await client.read_flow_runs(flow_run_filter=chosen)
        return run.state.type.value

    assert asyncio.run(state()) in {"CANCELLING", "CANCELLED"}


def ends_as(monkeypatch: pytest.MonkeyPatch, state: State) -> None:
    """Let a worker be there that brings every run to this state."""

    async def ready(*_: object) -> None:
        """As if a worker were there."""

    final = ci_run._final_state

    async def worked(client: PrefectClient, run: UUID, end: float) -> State | None:
        await client.set_flow_run_state(run, state, force=True)
        return await final(client, run, end)

    monkeypatch.setattr(ci_run, "check_ready", ready)
    monkeypatch.setattr(ci_run, "_final_state", worked)


def test_a_paused_pool_is_no_pool(deployment: str, capsys) -> None:
    async def pause(*, paused: bool) -> None:
        async with get_client() as client:
            await client.update_work_pool("cpu", WorkPoolUpdate(is_paused=paused))

    asyncio.run(pause(paused=True))
    try:
        assert ci_run.main(["--deployment", deployment]) == ci_run.NO_WORKER
        assert "prefect work-pool resume cpu" in capsys.readouterr().err
    finally:
        asyncio.run(pause(paused=False))


def test_a_parameter_that_is_no_json(deployment: str, monkeypatch, capsys) -> None:
    ends_as(monkeypatch, Completed())
    called = ["--deployment", deployment, "--param", "config={seed: 1}"]
    assert ci_run.main(called) == ci_run.NOT_STARTED
    assert "Expected: KEY=JSON" in capsys.readouterr().err


def test_limits_that_were_changed_stay_and_reset_overwrites(prefect_server: None, capsys) -> None:
    async def limit(tag: str, number: int | None = None) -> int:
        async with get_client() as client:
            if number:
                await client.create_concurrency_limit(tag=tag, concurrency_limit=number)
            return (await client.read_concurrency_limit_by_tag(tag)).concurrency_limit

    asyncio.run(limit("llm", 9))
    assert setup.main(["--no-deploy"]) == 0
    assert asyncio.run(limit("llm")) == 9
    assert "Tag llm: its limit stays 9" in capsys.readouterr().out
    assert setup.main(["--no-deploy", "--reset"]) == 0
    assert asyncio.run(limit("llm")) == setup.TAG_LIMITS["llm"]


def test_leases_in_memory_are_warned_of(prefect_server: None, capsys) -> None:
    assert setup.main(["--no-deploy"]) == 0
    assert setup.LEASE_STORAGE in capsys.readouterr().err


def test_a_block_that_is_not_there_is_one_message(prefect_server, tmp_path, capsys) -> None:
    (tmp_path / "site.yaml").write_text("tell: slack-webhook/nobody")
    assert setup.main(["--no-deploy", "--site", str(tmp_path / "site.yaml")]) == 1
    assert "no block 'slack-webhook/nobody'" in capsys.readouterr().err
