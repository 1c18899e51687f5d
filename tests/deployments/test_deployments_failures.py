"""Bad situations on a real server: a wrong key, things killed, a run too many, CI that fails."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployments.conftest import KEY, KEY_NAME, config_of
from tests.fake_openai import FakeOpenAI
from tests.local_server import LocalServer, wait_for

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]
PERSONALIZE = "personalize/personalize"
STEPS = 6
"""So many steps are done when something is killed."""


def long(data: Path, seed: int) -> dict[str, Any]:
    """A run whose training takes long enough to be met."""
    return config_of(data, seed=seed) | {"graph": {"max_epochs": 400, "patience": 400}}


def test_a_wrong_key_is_asked_once_and_never_told(deployed: LocalServer, small: Path, tmp_path):
    with FakeOpenAI(tmp_path / "requests.jsonl", rule=lambda _: "echo") as endpoint:
        llm = {"model": "openai/x", "api_base": endpoint.url, "api_key_env": KEY_NAME}
        config = config_of(small, llm=llm | {"max_in_flight": 1})
        run = deployed.run_id(PERSONALIZE, {"config": config})
        state = deployed.end_of(run)
        assert state["name"] == "Failed"
        assert "401" in state["message"]
        assert "llm.api_key_env" in state["message"]
        asked = [one["attempt"] for one in endpoint.requests()]
        assert asked == [1] * len(asked), "no retries"
        assert len(asked) <= 2, "what was under way when the first was refused, and no more"
    wait_for(lambda: "Failed" in log_of(deployed, run), 20, "the log")
    places = [path for path in deployed.folder.rglob("*") if path.is_file()]
    assert len(places) > 20
    assert [path for path in places if KEY.encode() in path.read_bytes()] == []


def test_a_root_that_cannot_be_written_ends_the_run_before_any_step(deployed, small, tmp_path):
    (tmp_path / "file").write_text("no folder")
    config = config_of(small, artifact_root=str(tmp_path / "file" / "artifacts"))
    run = deployed.run_id(PERSONALIZE, {"config": config})
    state = deployed.end_of(run)
    assert state["name"] == "Failed"
    assert "Cannot write to" in state["message"]
    assert deployed.steps(run) == {}


def test_a_deployment_triggered_twice_runs_one_after_the_other(deployed, small) -> None:
    parameters = {"config": config_of(small)}
    one, two = (deployed.run_id(PERSONALIZE, parameters) for _ in range(2))
    assert deployed.end_of(one)["name"] == deployed.end_of(two)["name"] == "Completed"
    first, second = sorted(
        (deployed.get(f"/flow_runs/{run}") for run in (one, two)), key=lambda run: run["start_time"]
    )
    assert second["start_time"] >= first["end_time"]
    manifests = [json.loads(one.read_bytes()) for one in deployed.artifacts.rglob("manifest.json")]
    assert len(manifests) > 10
    assert second["id"] not in {one["built_by"] for one in manifests}, "nothing is computed twice"


@pytest.fixture
def impatient(deployed: LocalServer) -> Iterator[None]:
    """Silent runs count as dead after a minute, so that the test need not wait for ten."""
    assert deployed.call("deployments.setup", "--no-deploy", "--silence", "75").returncode == 0
    yield
    assert deployed.call("deployments.setup", "--no-deploy").returncode == 0


def test_a_worker_killed_with_its_run_is_noticed_and_resumed(deployed, small, impatient) -> None:
    run = deployed.run_id(PERSONALIZE, {"config": long(small, seed=11)})
    wait_for(lambda: done(deployed, run) >= STEPS, 120, "the first steps")
    deployed.kill_with_children("worker-cpu")
    state = deployed.end_of(run, 240)
    assert state["name"] == "Crashed"
    assert "No heartbeat" in state["message"]
    deployed.worker("cpu", **{KEY_NAME: KEY})
    resumed(deployed, long(small, seed=11))


def test_a_server_killed_in_the_middle_loses_no_work(deployed, small, impatient) -> None:
    run = deployed.run_id(PERSONALIZE, {"config": long(small, seed=12)})
    wait_for(lambda: done(deployed, run) >= STEPS, 120, "the first steps")
    deployed.kill("server")
    deployed.start()
    state = deployed.end_of(run, 240)
    if state["name"] != "Completed":
        resumed(deployed, long(small, seed=12))


def test_a_server_killed_during_training_blocks_no_later_training(deployed, small, impatient):
    """The slot of the tag `gpu` is free again when its lease ends, five minutes at most."""
    run = deployed.run_id(PERSONALIZE, {"config": long(small, seed=13)})
    wait_for(lambda: deployed.steps(run).get("train") == "Running", 180, "the training")
    deployed.kill("server")
    deployed.kill_with_children("worker-cpu")
    deployed.start()
    deployed.worker("cpu", **{KEY_NAME: KEY})
    again = deployed.run_id(PERSONALIZE, {"config": config_of(small, seed=13)})
    assert deployed.end_of(again, 480)["name"] == "Completed"


def resumed(server: LocalServer, config: dict[str, Any]) -> None:
    """The same run again goes on where the dead one was."""
    again = server.run_id(PERSONALIZE, {"config": config})
    assert server.end_of(again)["name"] == "Completed"
    kept = [name for name, how in server.steps(again).items() if how == "Cached"]
    assert len(kept) >= STEPS - 1


def test_ci_passes_and_fails_as_it_should(deployed, small, tmp_path) -> None:
    config = json.dumps(config_of(small))
    call = ["deployments.ci_run", "--accepted", str(tmp_path / "accepted.json")]
    accepted = deployed.call(*call, "--param", f"config={config}", "--accept")
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    held = deployed.call(*call, "--param", f"config={config}")
    assert held.returncode == 0
    assert "in the accepted run ci-" in held.stdout
    failing = json.dumps(config_of(Path("/nowhere")))
    failed = deployed.call(*call, "--param", f"config={failing}")
    assert failed.returncode == 1
    assert "ended as Failed" in failed.stderr
    assert "/nowhere" in failed.stderr, "the state's message"
    late = deployed.call(*call, "--param", f"config={config}", "--timeout", "1")
    assert late.returncode == 1
    assert "it was cancelled" in late.stderr
    refused = deployed.call(*call, "--param", 'config={"seed":-1}')
    assert refused.returncode == 1
    assert "config.seed" in refused.stdout + refused.stderr


def done(server: LocalServer, run: str) -> int:
    return sum(how in {"Completed", "Cached"} for how in server.steps(run).values())


def log_of(server: LocalServer, run: str) -> str:
    chosen = {"logs": {"flow_run_id": {"any_": [run]}}}
    return "\n".join(one["message"] for one in server.post("/logs/filter", chosen))
