"""Rerank: the top candidates judged by the model; what is made of it is the fusion's business."""

from recsys_core.artifacts import ArtifactRef, ArtifactStore, ArtifactWriter
from recsys_core.columns import JUDGED, LLM_CALLS, USER
from recsys_core.config import FanOutConfig
from recsys_core.llm.config import LLMConfig
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.reranker import rerank as rerank_users
from recsys_core.rerank.user_context import RerankTables
from tasks.profile import DAY
from tasks.runtime.llm import LEDGER, ask
from tasks.runtime.progress import progress
from tasks.runtime.shards import Shard, fan_out, merge, shards
from tasks.runtime.step import Submitted, one_record, step


@step("rerank", version="3", timeout_seconds=DAY, tags=("llm",))
def judge(
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
    shard: Shard,
    only: ArtifactRef | None = None,
) -> None:
    """Judge the top candidates of the users of a shard (paper, section 2.3).

    Args:
        out: tables `judged` and `llm_calls`.
        data: the ingested data set.
        split: only its training part is shown.
        items: item profiles.
        users: user profiles.
        vectors: embeddings of both.
        candidates: the graph model's lists.
        llm: who judges.
        config: strategy, number of candidates.
        seed: of the order in which candidates are shown.
        shard: which users.
        only: a policy whose table `users` names those worth judging; None stands for all.
    """
    lists = shard.of(candidates.table("candidates"))
    if only is not None:
        lists = lists.join(only.table("users"), on=USER, how="semi")
    tables = RerankTables(
        candidates=lists,
        history=split.table("train"),
        items=data.table("items"),
        item_profiles=items.table("item_profiles"),
        user_profiles=users.table("user_profiles"),
        user_vectors=vectors.table("users"),
        item_vectors=vectors.table("items"),
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
                in_flight=llm.max_in_flight,
                on_user=report,
            ),
        )
    out.table("judged", judged, JUDGED)
    for name, value in facts.items():
        out.fact(name, value)


@step("rerank_joined", version="1")
def join(out: ArtifactWriter, parts: list[ArtifactRef]) -> None:
    """The judgements of all shards in one."""
    merge(out, parts, {"judged": JUDGED, LEDGER: LLM_CALLS})


def rerank(
    store: ArtifactStore,
    data: ArtifactRef,
    split: ArtifactRef,
    items: ArtifactRef,
    users: ArtifactRef,
    vectors: ArtifactRef,
    candidates: ArtifactRef,
    llm: LLMConfig,
    config: RerankConfig,
    fan: FanOutConfig,
    seed: int,
    *,
    only: ArtifactRef | None = None,
    name: str = "rerank",
) -> ArtifactRef:
    """`judge` for all users, a task per shard of them; a reference to the tables of all."""
    parts = shards(candidates.table("candidates"), llm, fan)

    def submit(shard: Shard) -> Submitted:
        return judge.submit(
            store, data, split, items, users, vectors, candidates, llm, config, seed, shard, only
        )

    with one_record(name):
        if len(parts) > 1:
            return join(store, fan_out(parts, submit, fan, name))
        return judge(
            store, data, split, items, users, vectors, candidates, llm, config, seed, parts[0], only
        )
