"""Under a worker, too, a signal or a silent server ends a run; what was bought is kept."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.deployments.conftest import KEY_NAME
from tests.flows.llm_run import Endpoint, write_data
from tests.local_server import LocalServer, wait_for

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]
PERSONALIZE = "personalize/personalize"
IN_FLIGHT = 4


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    write_data(tmp_path / "data")
    with Endpoint(tmp_path, word=lambda _: "ok") as served:
        served.server.latency = 0.2
        yield served


def config_of(endpoint: Endpoint) -> dict[str, Any]:
    found = endpoint.config(**{"llm.api_key_env": KEY_NAME})
    return found.model_dump(mode="json", exclude_unset=True)


def flow_process(server: LocalServer) -> psutil.Process:
    """The process of the one flow run under way."""
    worker = psutil.Process(server._started["worker-cpu"].pid)
    found = [one for one in worker.children(recursive=True) if "prefect.engine" in one.cmdline()]
    (process,) = found
    return process


def terminate(server: LocalServer, _: str) -> None:
    flow_process(server).send_signal(signal.SIGTERM)


def interrupt(server: LocalServer, _: str) -> None:
    flow_process(server).send_signal(signal.SIGINT)


def cancel(server: LocalServer, run: str) -> None:
    """As the button of the UI does."""
    state = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": False}
    httpx.post(f"{server.url}/flow_runs/{run}/set_state", json=state, timeout=60).raise_for_status()


@pytest.mark.parametrize(
    ("stop", "ends", "within"),
    [(terminate, "Crashed", 5), (interrupt, "Crashed", 5), (cancel, "Cancelled", 40)],
)
def test_a_signal_to_a_run_under_a_worker_ends_its_spending(
    deployed: LocalServer,
    endpoint: Endpoint,
    stop: Callable[[LocalServer, str], None],
    ends: str,
    within: float,
) -> None:
    """A cancelled run gets its signal when its worker hears of it, and sends on until then."""
    run = deployed.run_id(PERSONALIZE, {"config": config_of(endpoint)})
    wait_for(lambda: len(endpoint.prompts) >= 12, 180, "the first requests")
    process = flow_process(deployed)
    stop(deployed, run)
    at, sent = time.monotonic(), len(endpoint.prompts)
    psutil.wait_procs([process], within + 5)
    seconds = time.monotonic() - at
    assert seconds < within, f"{seconds:.1f} s"
    if stop is not cancel:
        assert len(endpoint.prompts) - sent <= IN_FLIGHT, "requests after the signal"
    sent = len(endpoint.prompts)
    # Of a cancelled run Prefect first says that it crashed, and later why.
    wait_for(lambda: deployed.state(run)["name"] == ends, 60, f"the state {ends}")
    time.sleep(1)
    assert len(endpoint.prompts) == sent, "requests after the end"

    mark = len(endpoint.prompts)
    again = deployed.run_id(PERSONALIZE, {"config": config_of(endpoint)})
    assert deployed.end_of(again)["name"] == "Completed"
    asked = [(one.purpose, one.text) for one in endpoint.prompts]
    assert mark < len(asked)
    assert len(asked) - len(set(asked)) <= IN_FLIGHT, "only what was in flight is asked again"


def test_a_server_that_hangs_ends_a_run_under_a_worker_within_a_minute(
    deployed: LocalServer, endpoint: Endpoint
) -> None:
    """Prefect's own client would ask six times, a minute each."""
    endpoint.server.latency = 1.0
    run = deployed.run_id(PERSONALIZE, {"config": config_of(endpoint)})
    wait_for(lambda: len(endpoint.prompts) >= 4, 180, "the first requests")
    process, server = flow_process(deployed), deployed._started["server"]
    server.send_signal(signal.SIGSTOP)
    try:
        gone, _ = psutil.wait_procs([process], 60)
        assert gone, "the run goes on without its server"
        sent = len(endpoint.prompts)
        time.sleep(2)
        assert len(endpoint.prompts) == sent, "requests after the end"
    finally:
        server.send_signal(signal.SIGCONT)
    assert "The Prefect server does not answer" in (deployed.folder / "worker-cpu.log").read_text()
    wait_for(lambda: deployed.state(run)["name"] == "Crashed", 300, "the state Crashed")
    endpoint.server.latency = 0.0
    again = deployed.run_id(PERSONALIZE, {"config": config_of(endpoint)})
    assert deployed.end_of(again)["name"] == "Completed"
