"""The service with a model of MovieLens 1M's size, asked by 16 clients on loopback.

At least 100 requests/s for known users and 20/s for histories with reasons, 95th percentiles of 100
and 250 ms, no error while the model is exchanged; on two idle cores. On a busy machine the
processor's time per request says more than the seconds.
"""

import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from recsys_core.serving.product.pointer import promote
from tests.benchmarks.bars import Bars
from tests.benchmarks.serving_data import ITEMS, USERS, write_product
from tests.local_server import free_port, wait_for

CLIENTS, SECONDS, MOST_SECONDS, PROCESSES = 16, 8.0, 60.0, 2
Body = dict[str, Any]


def main() -> int:
    bars = Bars()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for seed, name in enumerate(("first", "second")):
            write_product(root, name, seed)
        promote(str(root / "runs"), "first", "by hand")
        with _service(root / "runs") as (process, port):
            print(f"loaded: {_memory(process)}")
            asked = _Load(process, port)
            asked.judge(bars, "known users, each for the first time", _each_user(), 100, 0.1)
            asked.judge(bars, "known users, asked again and again", _any_user(100), 100, 0.1)
            asked.judge(bars, "histories with reasons", _histories(), 20, 0.25)
            asked.models.clear()
            exchange = threading.Timer(1, promote, (str(root / "runs"), "second", "by hand"))
            exchange.start()
            asked.judge(bars, "known users while the model is exchanged", _any_user(), 100, 0.1, 2)
            exchange.join()
            bars.at_least("models that answered", len(asked.models), 2)
            print(f"in the end: {_memory(process)}")
    return bars.missed


@contextmanager
def _service(runs: Path) -> Iterator[tuple[psutil.Process, int]]:
    port = free_port()
    command = [sys.executable, "-m", "deployments.serve", "--runs-root", str(runs)]
    command += ["--port", str(port), "--look-every", "1", "--processes", str(PROCESSES)]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _answers(port), 120, "the service's answer")
        yield psutil.Process(started.pid), port
    finally:
        started.terminate()
        started.wait(20)


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _memory(process: psutil.Process) -> str:
    parts = [f"{one.memory_info().rss / 2**20:.0f}" for one in _tree(process)]
    return f"{' + '.join(parts)} MiB"


def _processor(process: psutil.Process) -> float:
    """Seconds of the processor that the service has taken so far."""
    return sum(sum(one.cpu_times()[:2]) for one in _tree(process))


def _answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False


class _Load:
    """Clients that each ask, wait for the answer and ask again."""

    def __init__(self, process: psutil.Process, port: int) -> None:
        self.process, self.port = process, port
        self.models: set[str] = set()
        self._seconds: list[float] = []
        self._wrong: list[int] = []

    def judge(
        self,
        bars: Bars,
        what: str,
        body: Callable[[], Body],
        rate: float,
        p95: float,
        models: int = 0,
    ) -> None:
        """Ask for some seconds, and until `models` have answered; rate, percentiles, processor."""
        self._seconds, self._wrong = [], []
        before = _processor(self.process)
        end = time.monotonic() + SECONDS
        clients = [
            threading.Thread(target=self._ask, args=(body, end, models)) for _ in range(CLIENTS)
        ]
        started = time.perf_counter()
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        took, answered = time.perf_counter() - started, len(self._seconds)
        processor = 1000 * (_processor(self.process) - before) / max(answered, 1)
        middle, slow = np.quantile(self._seconds or [np.inf], [0.5, 0.95])
        print(f"{what}: {answered} answers, {processor:.2f} ms of the processor each")
        print(f"  median {middle * 1000:.0f} ms")
        bars.at_least("  requests per second", answered / took, rate)
        bars.at_most("  95th percentile", slow * 1000, p95 * 1000, " ms")
        bars.at_most("  errors", len(self._wrong), 0)

    def _ask(self, body: Callable[[], Body], end: float, models: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json"}
        last = end + MOST_SECONDS
        while time.monotonic() < (last if len(self.models) < models else end):
            asked = json.dumps(body())
            started = time.perf_counter()
            connection.request("POST", "/recommend", asked, headers)
            answer = connection.getresponse()
            text = answer.read()
            self._seconds.append(time.perf_counter() - started)
            if answer.status == http.client.OK:
                self.models.add(json.loads(text)["model"])
            else:
                self._wrong.append(answer.status)


def _each_user() -> Callable[[], Body]:
    users = iter(np.random.default_rng(0).permutation(USERS) + 1)
    more = count(1)  # a machine that is quicker than 6,040 users begins again

    def body() -> Body:
        return {"user": int(next(users, next(more)))}

    return body


def _any_user(among: int = USERS) -> Callable[[], Body]:
    rng = np.random.default_rng(1)
    return lambda: {"user": int(rng.integers(1, among + 1))}


def _histories() -> Callable[[], Body]:
    rng = np.random.default_rng(2)

    def body() -> Body:
        rated = rng.choice(ITEMS, int(rng.integers(3, 30)), replace=False) + 1
        return {"history": [
            {"item_id": int(one), "rating": int(rng.integers(1, 6))} for one in rated
        ]}  # fmt: skip

    return body
