"""Rerank: the top candidates judged by the model, fused with the graph's opinion."""

import polars as pl

from recsys_core.artifacts import ArtifactRef, ArtifactWriter
from recsys_core.columns import RANK, RERANKED
from recsys_core.config import LLMConfig, RerankConfig
from recsys_core.rerank.cases import Tables
from recsys_core.rerank.run import rerank as rerank_users
from tasks.llm import ask
from tasks.profile import DAY
from tasks.progress import progress
from tasks.step import step


@step("rerank", version="1", timeout_seconds=DAY, tags=("llm",))
def rerank(
    out: ArtifactWriter,
    data: ArtifactRef,
    split: ArtifactRef,
    items: ArtifactRef,
    users: ArtifactRef,
    vectors: ArtifactRef,
    candidates: ArtifactRef,
    llm: LLMConfig,
    config: RerankConfig,
    seed: int,
) -> None:
    """Judge and reorder every user's top candidates (paper, section 2.3).

    Args:
        out: tables `reranked` (what lies below the top follows in the graph's order) and
            `llm_calls`.
        data: the ingested data set.
        split: only its training part is shown.
        items: item profiles.
        users: user profiles.
        vectors: embeddings of both.
        candidates: the graph model's lists.
        llm: who judges.
        config: strategy, number of candidates, fusion.
        seed: of the order in which candidates are shown.
    """
    tables = Tables(
        candidates=candidates.table("candidates"),
        history=split.table("train"),
        items=data.table("items"),
        item_profiles=items.table("item_profiles"),
        user_profiles=users.table("user_profiles"),
        user_vectors=vectors.table("users"),
        item_vectors=vectors.table("items"),
    )
    n_users = tables.candidates.filter(pl.col(RANK) == 1).height
    with progress("rerank", n_users) as report:
        reranked, facts = ask(
            out,
            llm,
            lambda model: rerank_users(
                tables, provider=model, config=config, seed=seed, on_user=report
            ),
        )
    out.table("reranked", reranked, RERANKED)
    for name, value in facts.items():
        out.fact(name, value)
