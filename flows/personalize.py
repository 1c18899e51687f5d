"""The whole DAG: from a data set to recommendations with reasons, measured and reported.

    python -m flows.personalize --help

Nothing asks for a server: without PREFECT_API_URL the flow runs in this process.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from prefect import flow

from flows import _command, _console
from recsys_core.artifacts import ArtifactRef, ArtifactStore, file_hash
from recsys_core.config import RunConfig
from recsys_core.datasets.load import source_fingerprint
from recsys_core.report.summary import Summary
from tasks.baselines import baselines
from tasks.candidates import candidates
from tasks.embed import embed
from tasks.evaluate import evaluate
from tasks.explain import explain
from tasks.fuse import decide, fusion
from tasks.graph import graph
from tasks.ingest import ingest
from tasks.plan import plan
from tasks.profile import item_profiles, user_profiles
from tasks.report import Lists, report
from tasks.rerank import rerank
from tasks.split import split, split_everything
from tasks.step import run_log
from tasks.train import train


@flow(name="personalize", description="Profiles, graph model, reranking, reasons, evaluation.")
def personalize(config: RunConfig = RunConfig()) -> Summary | None:
    """Run the pipeline once; a dry run ends after the plan, and returns nothing.

    Args:
        config: every parameter of the run; see `--help`.
    """
    store, started = ArtifactStore(root=config.artifact_root), datetime.now(UTC)
    for root in (store, ArtifactStore(root=config.runs_root)):
        root.check_writable()
    with run_log() as log:
        data = ingest(store, config.data, source_fingerprint(config.data))
        parts = split(store, data, config.split, config.seed)
        if config.llm.uses_model or config.dry_run:
            plan(data, parts, config)
        if config.dry_run:
            return None
        lists = recommend(store, data, parts, config)
        served = lists
        if config.refit:
            served = recommend(store, data, split_everything(store, data), config, lists)
        others = baselines(store, data, parts, config.data, max(config.evaluation.cutoffs))
        metrics = evaluate(
            store, data, parts, lists.candidates, lists.reranked, others,
            config.data, config.evaluation, config.seed,
        )  # fmt: skip
        return report(config, log, data, served, metrics, started)


def recommend(
    store: ArtifactStore,
    data: ArtifactRef,
    parts: ArtifactRef,
    config: RunConfig,
    tuned: Lists | None = None,
) -> Lists:
    """From one split to lists with reasons.

    Args:
        store: where artifacts lie.
        data: the ingested data set.
        parts: the split; profiles, graph and model see its training part.
        config: the run's parameters.
        tuned: lists made with a validation split: number of epochs and policy are taken from them
            where this split holds nothing out.
    """
    llm, seed = config.llm, config.seed
    items = item_profiles(store, data, llm, config.profiles, file_hash(config.profiles.items_file))
    users = user_profiles(
        store, data, parts, items, llm, config.profiles, config.data,
        file_hash(config.profiles.users_file),
    )  # fmt: skip
    vectors = embed(store, data, items, users, config.embedding)
    nodes = graph(store, data, parts)
    model = train(
        store, parts, nodes, vectors, config.graph, config.data, seed,
        tuned.model if tuned else None,
    )  # fmt: skip
    depth = max(config.rerank.candidates, *config.evaluation.cutoffs)
    ranked = candidates(store, parts, nodes, model, depth)

    def judge(lists: ArtifactRef, name: str, only: ArtifactRef | None = None) -> ArtifactRef:
        return rerank(
            store, data, parts, items, users, vectors, lists, llm, config.rerank, config.fan_out,
            seed, only=only, name=name,
        )  # fmt: skip

    policy = decide(
        store, data, parts, ranked, config.data, config.fusion, seed,
        lambda sample: judge(sample, "rerank_valid"), tuned.policy if tuned else None,
    )  # fmt: skip
    judged = judge(ranked, "rerank", None if config.fusion.judge_everyone else policy)
    reranked = fusion(store, ranked, judged, policy, config.fusion)
    reasons = explain(
        store, data, parts, items, users, reranked, llm, config.explanations,
        config.rerank.candidates, config.fan_out,
    )  # fmt: skip
    return Lists(
        items=items, users=users, vectors=vectors, model=model, policy=policy,
        candidates=ranked, reranked=reranked, recommendations=reasons,
    )  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """The command line."""

    def action() -> None:
        config = _command.parse(
            argv, program="python -m flows.personalize", description=personalize.description or ""
        )
        if (summary := personalize(config)) is not None:
            _console.show(summary)

    return _command.run(action)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
