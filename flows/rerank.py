"""Rerank: the top candidates judged by the model, fused with the graph, with reasons."""

from dataclasses import dataclass

from prefect import flow

from flows._preflight import check_ready
from flows.ingest import Sources, prepare
from flows.train import Trained, fit
from recsys_core.artifacts import ArtifactRef, ArtifactStore
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks import rerank as steps
from tasks.explain import explain
from tasks.fusion import decide, fusion
from tasks.report import Lists, tell
from tasks.runtime.step import run_log


@dataclass(frozen=True, kw_only=True)
class Reranked:
    """Lists after judging and fusion, and what led to them."""

    policy: ArtifactRef
    judged: ArtifactRef
    lists: ArtifactRef


def recommend(
    store: ArtifactStore, config: RunConfig, sources: Sources, tuned: Lists | None = None
) -> Lists:
    """From one split to lists with reasons.

    Args:
        store: where artifacts lie.
        config: the run's parameters.
        sources: the data set and the split; profiles, graph and model see its training part.
        tuned: lists made with a validation split: number of epochs and policy are taken from them
            where this split holds nothing out.
    """
    trained = fit(store, config, sources, tuned.model if tuned else None)
    profiles, ranked = trained.profiles, trained.candidates
    fused = judge(store, config, sources, trained, tuned.policy if tuned else None)
    reasons = explain(
        store, sources.data, sources.parts, profiles.items, profiles.users, fused.lists,
        config.llm, config.explanations, config.rerank.candidates, config.fan_out,
    )  # fmt: skip
    return Lists(
        split=sources.parts, items=profiles.items, users=profiles.users, vectors=trained.vectors,
        model=trained.model,
        policy=fused.policy, candidates=ranked, reranked=fused.lists, recommendations=reasons,
    )  # fmt: skip


def judge(
    store: ArtifactStore,
    config: RunConfig,
    sources: Sources,
    trained: Trained,
    policy: ArtifactRef | None = None,
) -> Reranked:
    """Judge, choose the policy of the fusion on validation or take the given one, and fuse."""
    data, parts, ranked = sources.data, sources.parts, trained.candidates

    def ask(lists: ArtifactRef, name: str, only: ArtifactRef | None = None) -> ArtifactRef:
        return steps.rerank(
            store, data, parts, trained.profiles.items, trained.profiles.users, trained.vectors,
            lists, config.llm, config.rerank, config.fan_out, config.seed, only=only, name=name,
        )  # fmt: skip

    chosen = decide(
        store, data, parts, ranked, config.data.scale, config.fusion, config.seed,
        lambda sample: ask(sample, "rerank_valid"), policy,
    )  # fmt: skip
    judged = ask(ranked, "rerank", None if config.fusion.judge_everyone else chosen)
    lists = fusion(store, ranked, judged, chosen, config.fusion)
    return Reranked(policy=chosen, judged=judged, lists=lists)


@flow(name="rerank")
def rerank(config: RunConfig = RunConfig()) -> list[StepSummary]:
    """Rerank and explain, and do whatever has to be there before.

    Args:
        config: every parameter of a run.
    """
    check_ready(config)
    store = ArtifactStore(root=config.artifact_root)
    with run_log() as log:
        recommend(store, config, prepare(store, config))
        return tell(log)
