"""Speed of the LLM client against a fake server: `make bench ARGS=llm`.

Bars: 2,000 calls of 200 ms at 64 in flight within 1.15 times the ideal; below 3 ms of CPU per
call; memory flat in the number of calls; 600 requests per minute kept to within 3 %.
Prints one JSON line per measurement; the exit status says whether every bar was met.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.llm.providers.base import Provider, Purpose, Request
from recsys_core.llm.request import templates as prompts

SERVER = Path(__file__).resolve().parents[1] / "fake_openai.py"
FILLER = "a film about a journey and the people met on it. " * 20


class Item(BaseModel):
    number: int
    overview: str


class Profile(BaseModel):
    overview: str = Field(max_length=400)
    genres: list[str] = Field(max_length=8)
    tags: list[str] = Field(max_length=12)
    description: str = Field(max_length=800)


PURPOSE: Purpose[Any, Profile] = Purpose(
    name="bench",
    answer=Profile,
    rule=lambda item: Profile(overview="", genres=[], tags=[], description=""),
)


class Server:
    """The fake server as a process of its own."""

    def __init__(self, folder: Path, latency: float) -> None:
        self.log = folder / "requests.jsonl"
        self._command = [sys.executable, str(SERVER), "--log", str(self.log)]
        self._command += ["--latency", str(latency)]

    def __enter__(self) -> "Server":
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


async def ask(provider: Provider, numbers: range) -> None:
    requests = (
        Request(purpose=PURPOSE, variables=Item(number=n, overview=FILLER), subject=f"item:{n}")
        for n in numbers
    )
    await asyncio.gather(*[provider.ask(request) for request in requests])


def memory_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def throughput(folder: Path, transport: str, calls: int, latency: float) -> dict[str, Any]:
    with Server(folder, latency) as server:
        config = LLMConfig(
            model="openai/fake", api_base=server.url, max_in_flight=64, transport=transport,
            cache_url=f"sqlite:///{folder / 'llm.sqlite'}",
        )  # fmt: skip
        async with open_provider(config) as provider:
            await ask(provider, range(64))  # imports and connections
            rests = []
            wall, cpu = time.perf_counter(), time.process_time()
            for start in range(64, calls + 64, calls // 4):
                await ask(provider, range(start, start + calls // 4))
                rests.append(memory_mib())
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            whole = time.perf_counter()
            await ask(provider, range(10_000, 10_000 + calls))
            whole = time.perf_counter() - whole
        peak = max(one["in_flight"] for one in server.requests())
    ideal = calls * latency / 64
    return {
        "bench": "throughput", "transport": transport, "calls": calls, "seconds": round(whole, 2),
        "times_ideal": round(whole / ideal, 3), "cpu_ms_per_call": round(1000 * cpu / calls, 3),
        "quarters_seconds": round(wall, 2), "in_flight_peak": peak,
        "mib_after_quarters": [round(one, 1) for one in rests],
        "bytes_kept_per_call": round(2**20 * (rests[-1] - rests[0]) / (calls * 3 / 4)),
    }  # fmt: skip


async def replay(folder: Path, calls: int) -> dict[str, Any]:
    config = LLMConfig(
        model="openai/fake", api_base="http://127.0.0.1:9/v1", max_attempts=1,
        cache_url=f"sqlite:///{folder / 'llm.sqlite'}",
    )  # fmt: skip
    async with open_provider(config) as provider:
        cpu = time.process_time()
        await ask(provider, range(64, calls + 64))
        cpu = time.process_time() - cpu
    return {"bench": "cached", "calls": calls, "cpu_ms_per_call": round(1000 * cpu / calls, 3)}


async def pace(folder: Path, calls: int, per_minute: float) -> dict[str, Any]:
    with Server(folder, 0.2) as server:
        config = LLMConfig(
            model="openai/fake", api_base=server.url, max_in_flight=64,
            requests_per_minute=per_minute, cache_url=f"sqlite:///{folder / 'pace.sqlite'}",
        )  # fmt: skip
        async with open_provider(config) as provider:
            await ask(provider, range(calls))
        times = sorted(one["t"] for one in server.requests())
    windows = {
        seconds: max(bisect_left(times, t + seconds) - i for i, t in enumerate(times))
        for seconds in (1, 10, 60)
    }
    achieved = 60 * (len(times) - 1) / (times[-1] - times[0])
    return {
        "bench": "pace", "limit_per_minute": per_minute, "achieved": round(achieved, 1),
        "share": round(achieved / per_minute, 4), "most_in_window": windows,
    }  # fmt: skip


def main(argv: Sequence[str] = ()) -> int:
    """Run with the defaults, or with these arguments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--paced", type=int, default=900)
    parser.add_argument("--transport", nargs="*", default=["openai_http", "litellm"])
    asked = parser.parse_args(argv)
    met = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bench.yaml").write_text(
            "version: bench-1\nsystem: You write profiles.\nmax_tokens: 600\n"
            "user: '{{ input.number }} {{ input.overview }}'\n"
        )
        prompts.FOLDER = folder  # type: ignore[misc]
        for transport in asked.transport:
            place = folder / transport
            place.mkdir()
            found = asyncio.run(throughput(place, transport, asked.calls, 0.2))
            print(json.dumps(found), flush=True)
            if transport == "openai_http":
                met &= found["times_ideal"] <= 1.15 and found["cpu_ms_per_call"] < 3
                print(json.dumps(asyncio.run(replay(place, asked.calls))), flush=True)
        if asked.paced:
            found = asyncio.run(pace(folder, asked.paced, 600.0))
            print(json.dumps(found), flush=True)
            met &= 0.97 <= found["share"] <= 1.0 and found["most_in_window"][60] <= 600
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
