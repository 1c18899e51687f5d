"""When rerank and explanations end the run, and when they go on: the real client, a bad endpoint.

What the configuration says of bad answers holds for every step: a strategy survives an answer that
it may do without, never the client's word that the run ends.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recsys_core.errors import LLMDown, LLMError, LLMStopped
from recsys_core.explanations.attribution.assumed import assumed
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.explainer import explain
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.llm.providers.base import Provider
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.reranker import rerank
from tests.fake_openai import FakeOpenAI
from tests.rerank_world import ranked, world

TABLES, EVIDENCE = world()
Facts = dict[str, Any]


async def judged(provider: Provider) -> Facts:
    config = RerankConfig(strategy="relevancy")
    _, facts = await rerank(TABLES, provider=provider, config=config, seed=0)
    return facts


async def explained(provider: Provider) -> Facts:
    _, facts = await explain(
        ranked(TABLES), history=TABLES.history, items=TABLES.items,
        item_profiles=TABLES.item_profiles, user_profiles=TABLES.user_profiles,
        attributions=assumed(EVIDENCE, ranked(TABLES)), liking=EVIDENCE["user_id"].unique(),
        provider=provider, config=ExplanationConfig(), titles=20,
    )  # fmt: skip
    return facts


both_steps = pytest.mark.parametrize("step", [judged, explained])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeOpenAI]:
    with FakeOpenAI(tmp_path / "requests.jsonl") as fake:
        yield fake


def run(server: FakeOpenAI, step: Callable[[Provider], Any], **fields: Any) -> Facts:
    config = LLMConfig(
        model="openai/fake", api_base=server.url, max_attempts=2, backoff_max_s=0.01,
        max_in_flight=2, **fields,
    )  # fmt: skip

    async def main() -> Facts:
        async with open_provider(config, root=str(server.log.parent)) as provider:
            return await step(provider)  # type: ignore[no-any-return]

    return asyncio.run(main())


@both_steps
def test_the_first_invalid_answer_ends_the_run_where_it_shall(server, step) -> None:
    server.rule = lambda _: "empty"
    with pytest.raises(LLMStopped, match="no valid answer"):
        run(server, step, on_invalid="stop")


@both_steps
def test_too_many_invalid_answers_end_the_run(server, step) -> None:
    server.rule = lambda _: "empty"
    with pytest.raises(LLMStopped, match="max_failed_share"):
        run(server, step, max_failed_share=0.02)


@both_steps
def test_an_endpoint_that_is_gone_ends_the_run(server, step) -> None:
    server.rule = lambda _: "503"
    with pytest.raises(LLMDown, match="2 attempt"):
        run(server, step)
    assert {one["attempt"] for one in server.requests()} == {1, 2}


@both_steps
@pytest.mark.parametrize(("word", "fields"), [
    ("empty", {}), ("503", {"on_unavailable": "fallback"}),
])  # fmt: skip
def test_with_a_fallback_everything_is_kept_and_counted(server, step, word, fields) -> None:
    server.rule = lambda _: word
    facts = run(server, step, max_failed_share=1.0, **fields)
    users = TABLES.candidates["user_id"].n_unique()
    assert facts["fallback_users"] == users
    assert facts["fallback_items"] == TABLES.candidates.height
    assert facts["failed_requests"] >= users


def test_every_end_is_one_kind_of_error() -> None:
    assert issubclass(LLMDown, LLMStopped)
    assert issubclass(LLMStopped, LLMError)
    assert not LLMDown("x").retryable, "the client is the one owner of retries"
