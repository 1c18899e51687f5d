"""A lying model at a server: nothing that is no cause survives, and every lie is counted."""

import asyncio
import json
from pathlib import Path
from typing import Any

import polars as pl

from recsys_core.columns import EXPLANATION, ITEM, LIKED_EVIDENCE, MODEL, USER
from recsys_core.explanations.attribution.assumed import assumed
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.explainer import explain
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from tests.fake_openai import FakeOpenAI, Received
from tests.rerank_world import ranked, world

TABLES, EVIDENCE = world(n_users=3, depth=6)
LISTS = ranked(TABLES)
FOREIGN = "The Film That Is No Cause"


def lying(received: Received) -> dict[str, Any]:
    """One reason cites a foreign id, one names a foreign title, the others say what is true."""
    text = received.body["messages"][-1]["content"]
    ids = json.loads(text.rpartition("Explain these ids: ")[2])
    told = [{"id": one, "sentence": "It may well be to your taste."} for one in ids]
    told[0]["liked_ids"] = ["999"]
    told[1]["sentence"] = f"You liked “{FOREIGN}”, and this is like it."
    return {"reasons": told}


def test_citations_outside_the_causes_do_not_survive(tmp_path: Path) -> None:
    async def run(url: str) -> tuple[pl.DataFrame, dict[str, Any]]:
        llm = LLMConfig(model="openai/liar", api_base=url, max_attempts=1)
        async with open_provider(llm, root=str(tmp_path)) as provider:
            return await explain(
                LISTS, history=TABLES.history, items=TABLES.items,
                item_profiles=TABLES.item_profiles, user_profiles=TABLES.user_profiles,
                attributions=assumed(EVIDENCE, LISTS), liking=EVIDENCE[USER].unique(),
                provider=provider, config=ExplanationConfig(), titles=6,
            )  # fmt: skip

    with FakeOpenAI(tmp_path / "requests.jsonl", answer=lying) as server:
        found, facts = asyncio.run(run(server.url))
    assert not found[EXPLANATION].str.contains(FOREIGN, literal=True).any()
    cited = found.select(USER, pl.col(LIKED_EVIDENCE).alias(ITEM)).explode(ITEM).drop_nulls()
    assert cited.join(EVIDENCE, on=[USER, ITEM], how="anti").is_empty()
    assert facts["citations_outside_causes"] == facts["fallback_items"] == 2 * 3
    assert found.filter(pl.col(MODEL) == "rules").height == 2 * 3
    assert facts["failed_requests"] == 0
    assert len((tmp_path / "requests.jsonl").read_text().splitlines()) == 3, "asked once"
