"""All strategies through the real client against a fake server that judges like a noisy oracle."""

import asyncio
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import kendalltau

from recsys_core.columns import LLM_SCORE
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.llm.providers.base import Usage
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.costs import strategy_costs
from recsys_core.rerank.reranker import Facts, rerank
from recsys_core.rerank.strategies.registry import STRATEGIES
from recsys_core.rerank.user_context import RerankTables
from tests.fake_openai import FakeOpenAI
from tests.oracle import WHO, Oracle, spread
from tests.rerank_world import world


def oracle_world(n_users: int) -> tuple[RerankTables, dict[str, list[str]]]:
    """A world with a random true order per user, whose profiles tell whose they are."""
    tables, _ = world(n_users=n_users, n_items=40)
    named = pl.concat_str(pl.lit(WHO), pl.col("user_id").cast(pl.String)).alias("overview")
    told = RerankTables(
        **{**vars(tables), "user_profiles": tables.user_profiles.with_columns(named)}
    )
    rng = random.Random(5)
    lists = tables.candidates.group_by("user_id", maintain_order=True).agg("item_id")
    orders = {str(user): [str(item) for item in items] for user, items in lists.iter_rows()}
    return told, {user: rng.sample(items, len(items)) for user, items in orders.items()}


def judge(
    tables: RerankTables, oracle: Oracle, folder: Path, **config: object
) -> tuple[pl.DataFrame, Facts, Usage]:
    async def run(url: str) -> tuple[pl.DataFrame, Facts, Usage]:
        llm = LLMConfig(
            model="openai/oracle", api_base=url, max_in_flight=32,
            cache_url=f"sqlite:///{folder / 'llm.sqlite'}", input_price=1.0, output_price=2.0,
        )  # fmt: skip
        settings = RerankConfig.model_validate(config)
        async with open_provider(llm) as provider:
            judged, facts = await rerank(tables, provider=provider, config=settings, seed=0)
            return judged, facts, provider.usage()

    with FakeOpenAI(folder / "requests.jsonl", answer=oracle) as server:
        return asyncio.run(run(server.url))


def agreement(judged: pl.DataFrame, orders: dict[str, list[str]]) -> float:
    """Kendall's tau between scores and the true order, mean over users."""
    taus = []
    for (user,), own in judged.group_by("user_id"):
        truth = [-orders[str(user)].index(str(item)) for item in own["item_id"]]
        taus.append(kendalltau(truth, own[LLM_SCORE].to_list()).statistic)
    return float(np.mean(taus))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_error_the_oracles_order_comes_back(strategy: str, tmp_path: Path) -> None:
    tables, orders = oracle_world(2)
    judged, facts, usage = judge(tables, Oracle(orders), tmp_path, strategy=strategy)
    assert agreement(judged, orders) == pytest.approx(1.0) or not STRATEGIES[strategy].exact
    assert facts["fallback_items"] == facts["failed_requests"] == facts["invented_items"] == 0
    assert facts["answers_by_model"] == {"openai/oracle": usage.calls.height}
    costs = strategy_costs(usage.calls)
    assert costs["strategy"].to_list() == [strategy]
    assert costs["calls"][0] == usage.calls.height * 1000 / 2
    assert costs["cost_usd"][0] > 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_errors_do_harm_but_no_strategy_breaks(strategy: str, tmp_path: Path) -> None:
    tables, orders = oracle_world(3)
    judged, facts, _ = judge(tables, Oracle(orders, error=0.3), tmp_path, strategy=strategy)
    assert facts["fallback_items"] == 0
    assert 0.05 < agreement(judged, orders) < 0.95


def test_the_noise_is_what_it_says() -> None:
    assert spread(0.0) == 0.0
    rng = np.random.default_rng(1)
    for error in (0.1, 0.2, 0.3):
        one, other = rng.uniform(size=(2, 50_000))
        seen = rng.normal(size=(2, 50_000)) * spread(error)
        wrong = (one > other) != (one + seen[0] > other + seen[1])
        assert wrong.mean() == pytest.approx(error, abs=0.01)
