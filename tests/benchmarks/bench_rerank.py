"""Speed of reranking: 943 users x 20 candidates, by rules, and by a model that takes 200 ms.

Bars: by rules at most 20 s; against the fake server, 64 in flight, within 1.2 times the ideal
(calls x 0.2 s / 64), shards and Prefect included; Prefect's own share at most a tenth.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import flow

from recsys_core.artifacts import ArtifactStore
from recsys_core.columns import USER
from recsys_core.config import FanOutConfig
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.llm.providers.rules import RulesProvider
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.reranker import rerank
from recsys_core.rerank.user_context import RerankTables
from tests.benchmarks.rerank_data import load
from tests.made_artifacts import judged

LATENCY, IN_FLIGHT, CALLS = 0.2, 64, RerankConfig().looks
BY_RULES, OF_IDEAL, PREFECT = 20, 1.2, 0.1
"""The bars."""


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """An indifferent model as a process of its own."""
    command = [sys.executable, "-m", "tests.oracle", "--log", str(folder / "requests.jsonl")]
    process = subprocess.Popen(
        [*command, "--latency", str(LATENCY)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def by_rules(tables: RerankTables) -> float:
    started = time.perf_counter()
    asyncio.run(rerank(tables, provider=RulesProvider(), config=RerankConfig(), seed=0))
    took = time.perf_counter() - started
    print(f"by rules: {took:.1f} s (bar: {BY_RULES})")
    return took


def direct(tables: RerankTables, llm: LLMConfig) -> float:
    async def run() -> None:
        async with open_provider(llm) as provider:
            await rerank(
                tables, provider=provider, config=RerankConfig(), seed=0, in_flight=IN_FLIGHT
            )

    started = time.perf_counter()
    asyncio.run(run())
    return time.perf_counter() - started


def fanned_out(tables: RerankTables, llm: LLMConfig, folder: Path, fan: FanOutConfig) -> float:
    store = ArtifactStore(root=str(folder / "artifacts"))

    @flow
    def run() -> float:
        started = time.perf_counter()
        judged(store, tables, llm, RerankConfig(), fan)
        return time.perf_counter() - started

    return run()


def main() -> int:
    tables = load(published=True).tables
    ruled = by_rules(tables)
    n_users = tables.candidates[USER].n_unique()
    ideal = n_users * CALLS * LATENCY / IN_FLIGHT
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with server(folder) as url:

            def config(cache: str) -> LLMConfig:
                return LLMConfig(
                    model="openai/fake", api_base=url, max_in_flight=IN_FLIGHT,
                    cache_url=f"sqlite:///{folder / cache}",
                )  # fmt: skip

            plain = direct(tables, config("direct.sqlite"))
            spread = fanned_out(tables, config("fanned.sqlite"), folder, FanOutConfig())
    share = (spread - plain) / spread
    print(f"one event loop: {plain:.1f} s, {plain / ideal:.2f} times the ideal {ideal:.1f} s")
    print(
        f"shards on Prefect: {spread:.1f} s, {spread / ideal:.2f} times the ideal"
        f" (bar: {OF_IDEAL}); Prefect's share {share:.1%} (bar: {PREFECT:.0%})"
    )
    return int(ruled > BY_RULES or spread / ideal > OF_IDEAL or share > PREFECT)


if __name__ == "__main__":
    sys.exit(main())
