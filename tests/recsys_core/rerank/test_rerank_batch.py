"""Batch mode shares the strategies: all looks of all users of a stage are one batch file."""

import asyncio
from pathlib import Path

import polars as pl
import pytest

from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.llm.transport import batch
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.reranker import rerank
from tests.fake_openai import FakeOpenAI
from tests.oracle import Oracle
from tests.rerank_world import world

pytestmark = pytest.mark.slow
USERS = 30


def test_a_stage_is_one_batch_file_with_the_answers_of_single_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "QUIET_S", 1.0)
    monkeypatch.setattr(batch, "POLL_S", 0.1)
    tables, _ = world(n_users=USERS)

    async def judge(url: str, name: str, *, in_batches: bool) -> pl.DataFrame:
        llm = LLMConfig(
            model="openai/oracle", api_base=url, batch=in_batches,
            cache_url=f"sqlite:///{tmp_path / name}.sqlite",
        )  # fmt: skip
        async with open_provider(llm) as provider:
            judged, _ = await rerank(
                tables, provider=provider, config=RerankConfig(), seed=0,
                in_flight=None if in_batches else llm.max_in_flight,
            )  # fmt: skip
        return judged

    with FakeOpenAI(tmp_path / "requests.jsonl", answer=Oracle({})) as server:
        single = asyncio.run(judge(server.url, "single", in_batches=False))
        batched = asyncio.run(judge(server.url, "batched", in_batches=True))
        assert len(server.batches) == 1
        lines = server.files[server.batches["batch_1"]["input_file_id"]].count(b"custom_id")
    assert lines == USERS * RerankConfig().looks
    assert batched.equals(single)
