"""Explain: a reason for every recommendation, with the evidence it rests on."""

from recsys_core.artifacts import ArtifactRef, ArtifactStore, ArtifactWriter
from recsys_core.columns import LLM_CALLS, RECOMMENDATIONS, USER
from recsys_core.config import FanOutConfig
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.explainer import explain as explain_users
from recsys_core.llm.config import LLMConfig
from tasks.profile import DAY
from tasks.runtime.llm import LEDGER, ask
from tasks.runtime.progress import progress
from tasks.runtime.shards import Shard, fan_out, merge, shards
from tasks.runtime.step import Submitted, one_record, step


@step("explain", version="3", timeout_seconds=DAY, tags=("llm",))
def reasons(
    out: ArtifactWriter,
    data: ArtifactRef,
    split: ArtifactRef,
    items: ArtifactRef,
    users: ArtifactRef,
    reranked: ArtifactRef,
    llm: LLMConfig,
    config: ExplanationConfig,
    titles: int,
    shard: Shard,
) -> None:
    """Write the final lists of a shard's users with a reason for each entry (paper, section 2.3).

    Args:
        out: tables `recommendations` and `llm_calls`.
        data: the ingested data set.
        split: only its training part is shown.
        items: item profiles.
        users: user profiles, and the evidence they were written from.
        reranked: the lists in their final order.
        llm: who writes the reasons.
        config: how many titles per request.
        titles: how many entries a list has.
        shard: which users.
    """
    lists = shard.of(reranked.table("reranked"))
    with progress("explanations", lists[USER].n_unique(), shown=shard.count == 1) as report:
        recommendations, facts = ask(
            out,
            llm,
            lambda model: explain_users(
                lists,
                history=split.table("train"),
                items=data.table("items"),
                item_profiles=items.table("item_profiles"),
                user_profiles=users.table("user_profiles"),
                evidence=users.table("evidence"),
                provider=model,
                config=config,
                titles=titles,
                on_user=report,
            ),
        )
    out.table("recommendations", recommendations, RECOMMENDATIONS)
    for name, value in facts.items():
        out.fact(name, value)


@step("explain_joined", version="1")
def join(out: ArtifactWriter, parts: list[ArtifactRef]) -> None:
    """The reasons of all shards in one."""
    merge(out, parts, {"recommendations": RECOMMENDATIONS, LEDGER: LLM_CALLS})


def explain(
    store: ArtifactStore,
    data: ArtifactRef,
    split: ArtifactRef,
    items: ArtifactRef,
    users: ArtifactRef,
    reranked: ArtifactRef,
    llm: LLMConfig,
    config: ExplanationConfig,
    titles: int,
    fan: FanOutConfig,
) -> ArtifactRef:
    """`reasons` for all users, a task per shard of them; a reference to the tables of all."""
    parts = shards(reranked.table("reranked"), llm, fan)

    def submit(shard: Shard) -> Submitted:
        return reasons.submit(
            store, data, split, items, users, reranked, llm, config, titles, shard
        )

    with one_record("explain"):
        if len(parts) > 1:
            return join(store, fan_out(parts, submit, fan, "explain"))
        return reasons(store, data, split, items, users, reranked, llm, config, titles, parts[0])
