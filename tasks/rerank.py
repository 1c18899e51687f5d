"""Step `rerank`: the top candidates of every user judged by the language model."""

from collections.abc import Mapping
from typing import Any

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import JUDGED, LLM_CALLS, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.config import LLMConfig
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.reranker import rerank as rerank_users
from recsys_core.rerank.strategies.registry import STRATEGIES
from recsys_core.rerank.user_context import RerankTables
from tasks.runtime.llm_calls import LEDGER, ask, prompts_in_use
from tasks.runtime.progress import progress
from tasks.runtime.references import (
    CatalogueRef,
    EmbeddingsRef,
    ItemProfilesRef,
    JudgementsRef,
    ListsRef,
    PolicyRef,
    SplitRef,
    UserProfilesRef,
    shown_history,
)
from tasks.runtime.sharded import Shard, sharded


def _rests_on(inputs: Mapping[str, Any]) -> Mapping[str, object]:
    strategy = STRATEGIES.get(inputs["config"].strategy)
    return prompts_in_use(inputs["llm"], *([strategy.purpose] if strategy else []))


@sharded(
    "rerank",
    version="16",
    returns=JudgementsRef,
    lists="candidates",
    tables={"judged": JUDGED, LEDGER: LLM_CALLS},
    tags=("llm",),
    rests_on=_rests_on,
)
def rerank(
    out: ArtifactWriter,
    shard: Shard,
    *,
    catalogue: CatalogueRef,
    split: SplitRef,
    items: ItemProfilesRef,
    users: UserProfilesRef,
    embeddings: EmbeddingsRef,
    candidates: ListsRef,
    llm: LLMConfig,
    ratings: RatingScale,
    config: RerankConfig,
    seed: int,
    only: PolicyRef | None = None,
) -> None:
    """Judge the top candidates of the users of a shard (paper, section 2.3).

    Args:
        out: tables `judged` and `llm_calls`.
        shard: which users.
        catalogue: the items.
        split: only its training part is shown.
        items: item profiles.
        users: user profiles.
        embeddings: vectors of both.
        candidates: the graph model's lists.
        llm: who judges.
        ratings: whether there are ratings to show.
        config: strategy, number of candidates.
        seed: of the order in which candidates are shown.
        only: a policy whose table `users` names those worth judging; None stands for all.
    """
    lists = shard.of(candidates.table("candidates"))
    if only is not None:
        lists = lists.join(only.table("users"), on=USER, how="semi")
    tables = RerankTables(
        candidates=lists,
        history=shown_history(split, ratings),
        items=catalogue.table("items"),
        item_profiles=items.table("item_profiles"),
        user_profiles=users.table("user_profiles"),
        user_vectors=embeddings.table("users"),
        item_vectors=embeddings.table("items"),
    )
    with progress("rerank", lists[USER].n_unique(), shown=shard.count == 1) as report:
        judged, facts = ask(
            out,
            llm,
            lambda model: rerank_users(
                tables,
                provider=model,
                config=config,
                seed=seed,
                # A batch file holds whatever asks at the same time: here, everybody.
                in_flight=None if llm.batch else llm.max_in_flight,
                on_user=report,
            ),
        )
    out.table("judged", judged, JUDGED)
    for name, value in facts.items():
        out.fact(name, value)
