"""A real Prefect server on loopback with workers, for checks that nothing smaller can make.

Everything lies in one folder: Prefect's home, artifacts, runs, logs. What it starts it ends, by
process id.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
LEASE_STORAGE = "prefect.server.concurrency.lease_storage.filesystem"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class LocalServer:
    """A server, its workers, and what a user would call from a shell beside them."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder, self.port = folder, port or free_port()
        self.ui = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.ui}/api"
        self.artifacts, self.runs = folder / "artifacts", folder / "runs"
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.url,
            "PREFECT_LOCAL_STORAGE_PATH": str(folder / "results"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_CLI_COLORS": "false",
            "DO_NOT_TRACK": "1",
            # As docs/operations.md says: in memory, a server that is killed loses its slots.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASE_STORAGE,
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "NO_PROXY": "127.0.0.1",
            "RECSYS_ARTIFACTS": str(self.artifacts),
            "RECSYS_RUNS": str(self.runs),
            "OMP_NUM_THREADS": "1",
        }
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.spawn("server", "prefect", "server", "start", "--port", str(self.port))
        wait_for(self.answers, 180, "the server's answer")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def worker(self, pool: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker and wait until the server knows it."""
        started = self.spawn(
            f"worker-{pool}", "prefect", "worker", "start", "--pool", pool, **environment
        )
        wait_for(lambda: self.online(pool), 90, f"a worker of pool {pool}")
        return started

    def online(self, pool: str) -> bool:
        workers = self.post(f"/work_pools/{pool}/workers/filter", {})
        return any(one["status"] == "ONLINE" for one in workers)

    def spawn(self, name: str, *module: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start `python -m module...` in a process group of its own, its output to a file."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._started[name] = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self._started[name]

    def kill(self, name: str) -> None:
        """End the whole process group at once, as a crash of its machine would."""
        process = self._started.pop(name)
        _signal(process, signal.SIGKILL)
        process.wait(20)

    def kill_with_children(self, name: str) -> None:
        """End a worker and its flow runs, which are in process groups of their own."""
        worker = psutil.Process(self._started[name].pid)
        children = worker.children(recursive=True)
        self.kill(name)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    def call(self, *module: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `python -m module...` to its end."""
        return subprocess.run(
            [sys.executable, "-m", *module], cwd=ROOT, env=self.environment, text=True,
            capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Ask the API; its answer as JSON."""
        answer = patient("POST", f"{self.url}{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        """Read from the API."""
        answer = patient("GET", f"{self.url}{path}")
        answer.raise_for_status()
        return answer.json()

    def deployment(self, name: str) -> dict[str, Any]:
        """A deployment by `flow/deployment`."""
        found: dict[str, Any] = self.get(f"/deployments/name/{name}")
        return found

    def trigger(self, deployment: str, parameters: dict[str, Any], **more: Any) -> httpx.Response:
        """What the button of the UI's form sends."""
        path = f"/deployments/{self.deployment(deployment)['id']}/create_flow_run"
        body = {"parameters": parameters, **more}
        return patient("POST", f"{self.url}{path}", json=body)

    def run_id(self, deployment: str, parameters: dict[str, Any], **more: Any) -> str:
        """Trigger a run; its id."""
        answer = self.trigger(deployment, parameters, **more)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def runs_of(self, deployment: str) -> list[dict[str, Any]]:
        """The flow runs of a deployment, oldest first."""
        chosen = {"deployments": {"id": {"any_": [self.deployment(deployment)["id"]]}}}
        found = self.post("/flow_runs/filter", chosen)
        return sorted(found, key=lambda one: one["created"])

    def state(self, run: str) -> dict[str, Any]:
        """State of a flow run."""
        found: dict[str, Any] = self.get(f"/flow_runs/{run}")["state"]
        return found

    def end_of(self, run: str, seconds: float = 240) -> dict[str, Any]:
        """Wait for the end of a run; its last state."""
        wait_for(lambda: self.state(run)["type"] in ENDED, seconds, f"the end of run {run}")
        return self.state(run)

    def steps(self, run: str) -> dict[str, str]:
        """Name of every task run of a flow run -> name of its state."""
        chosen = {"flow_runs": {"id": {"any_": [run]}}}
        found = self.post("/task_runs/filter", chosen)
        return {one["name"].rsplit("-", 1)[0]: one["state_name"] for one in found}

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8", errors="replace")

    def stop(self) -> None:
        """End what was started, the newest first."""
        for name in reversed(list(self._started)):
            process = self._started.pop(name)
            _signal(process, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                process.wait(20)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextmanager
def serving(folder: Path) -> Iterator[LocalServer]:
    """A server that runs inside the context."""
    server = LocalServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def patient(method: str, url: str, **more: Any) -> httpx.Response:
    """Ask again while SQLite is locked, as Prefect's own clients do.

    A server that was stopped for a while can find its database locked for a minute after it goes
    on, and answers nothing until then.
    """
    for last in [False] * 9 + [True]:
        try:
            answer = httpx.request(method, url, timeout=60, **more)
        except httpx.ReadTimeout:
            if last or method != "GET":
                raise
            continue
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(1)
    return answer


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until `condition` holds.

    Raises:
        TimeoutError: it does not hold after `seconds`.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        time.sleep(0.3)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
