"""The service with a model of MovieLens 1M's size, asked by 16 clients on loopback.

With `RECSYS_BENCH_RUN=runs/NAME` the model is that of a finished run, and is not exchanged.

At least 100 requests/s for known users and 20/s for histories with reasons, 95th percentiles of 100
and 250 ms, no error while the model is exchanged; on two idle cores. On a busy machine the
processor's time per request says more than the seconds.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from recsys_core.interactions.feedback import RatingScale
from recsys_core.serving import open_model
from recsys_core.serving.product.pointer import SERVED, promote
from tests.benchmarks.bars import Bars
from tests.benchmarks.serving_data import ITEMS, USERS, write_product
from tests.local_server import free_port, wait_for

RUN = "RECSYS_BENCH_RUN"
CLIENTS, SECONDS, MOST_SECONDS, PROCESSES = 16, 8.0, 60.0, 2
Body = dict[str, Any]


def main() -> int:
    bars = Bars()
    if finished := os.environ.get(RUN):
        model = open_model(finished)
        asking = _Bodies(
            users=model.user_ids.to_list(), items=model.item_ids.to_list(), scale=model.scale
        )
        with _service(Path(finished).parent, Path(finished).name) as (process, port):
            _judge(bars, _Load(process, port), asking)
        return bars.missed
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for seed, name in enumerate(("first", "second")):
            write_product(root, name, seed)
        promote(str(root / "runs"), "first", "by hand")
        users, items = (list(range(1, count + 1)) for count in (USERS, ITEMS))
        asking = _Bodies(users=users, items=items, scale=RatingScale())
        with _service(root / "runs", SERVED) as (process, port):
            asked = _Load(process, port)
            _judge(bars, asked, asking)
            asked.models.clear()
            exchange = threading.Timer(1, promote, (str(root / "runs"), "second", "by hand"))
            exchange.start()
            asked.judge(
                bars, "known users while the model is exchanged", asking.any_user(), 100, 0.1, 2
            )
            exchange.join()
            bars.at_least("models that answered", len(asked.models), 2)
            print(f"in the end: {_memory(process)}")
    return bars.missed


def _judge(bars: Bars, asked: "_Load", asking: "_Bodies") -> None:
    print(f"loaded: {_memory(asked.process)}")
    asked.judge(bars, "known users, each for the first time", asking.each_user(), 100, 0.1)
    asked.judge(bars, "known users, asked again and again", asking.any_user(100), 100, 0.1)
    asked.judge(bars, "histories with reasons", asking.histories(), 20, 0.25)
    print(f"then: {_memory(asked.process)}")


@contextmanager
def _service(runs: Path, run: str) -> Iterator[tuple[psutil.Process, int]]:
    port = free_port()
    command = [sys.executable, "-m", "deployments.serve", "--runs-root", str(runs), "--run", run]
    command += ["--port", str(port), "--look-every", "1", "--processes", str(PROCESSES)]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _answers(port), 120, "the service's answer")
        process = psutil.Process(started.pid)
        wait_for(lambda: _is_idle(process), 120, "all processes of the service")
        yield process, port
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


def _is_idle(process: psutil.Process) -> bool:
    """Whether none of its processes is still reading the model: the first one answers earlier."""
    before = _processor(process)
    time.sleep(1)
    return _processor(process) - before < 0.2


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


@dataclass(frozen=True, kw_only=True)
class _Bodies:
    """What clients ask a model: its users, and histories of its items."""

    users: list[Any]
    items: list[Any]
    scale: RatingScale

    def each_user(self) -> Callable[[], Body]:
        """Each user once; a machine that is quicker than all of them begins again."""
        order = cycle(np.random.default_rng(0).permutation(len(self.users)).tolist())
        return lambda: {"user": self.users[next(order)]}

    def any_user(self, among: int | None = None) -> Callable[[], Body]:
        """Some of the first `among` users."""
        rng, some = np.random.default_rng(1), self.users[:among]
        return lambda: {"user": some[int(rng.integers(len(some)))]}

    def histories(self) -> Callable[[], Body]:
        """Three to twenty-nine ratings of a new person."""
        rng = np.random.default_rng(2)
        levels = np.arange(self.scale.rating_min, self.scale.rating_max + 1)

        def body() -> Body:
            rated = rng.choice(len(self.items), int(rng.integers(3, 30)), replace=False)
            return {"history": [
                {"item_id": self.items[one], "rating": float(rng.choice(levels))}
                for one in rated.tolist()
            ]}  # fmt: skip

        return body


if __name__ == "__main__":
    sys.exit(main())
