"""The pipeline: every step once, in order, each with references to what it rests on."""

from contextlib import suppress
from functools import partial
from typing import Literal

from recsys_core.artifacts import ArtifactStore, file_hash
from recsys_core.config import RunConfig
from recsys_core.datasets.load import source_fingerprint
from recsys_core.datasets.tmdb.client import api_key
from recsys_core.serving.product.config import ServingConfig
from tasks.attribute import attribute
from tasks.baselines import baselines
from tasks.candidates import candidates, list_length
from tasks.diversify import diversify, trade_off
from tasks.dry_run import dry_run
from tasks.embed import embed
from tasks.enrich import enrich
from tasks.evaluate import evaluate
from tasks.explain import explain
from tasks.explanation_judge import explanation_judge
from tasks.explanation_metrics import explanation_metrics
from tasks.fidelity import fidelity
from tasks.fold_in_check import fold_in_check
from tasks.fusion import fusion
from tasks.fusion_policy import fusion_policy
from tasks.graph import graph
from tasks.ingest import ingest
from tasks.item_profiles import item_profiles
from tasks.metadata_changes import processed
from tasks.plots import plots
from tasks.probe import probe
from tasks.report import made_calls, report
from tasks.rerank import rerank
from tasks.runtime.references import Results
from tasks.runtime.runs.last_runs import LastRuns, left_by
from tasks.runtime.runs.run_log import RunLog
from tasks.runtime.server.prefect_artifacts import publish_artifacts
from tasks.runtime.step import NotKept, kept_only
from tasks.runtime.warm_start import honest_start, last_run
from tasks.served_model import served_model
from tasks.split import split, split_everything, test_split
from tasks.train import train
from tasks.user_profiles import user_profiles

Last = Literal[
    "enrich", "split", "user_profiles", "embed", "candidates", "fusion", "explain",
    "explanation_metrics", "report",
]  # fmt: skip
"""Steps after which a flow can stop."""


def pipeline(
    config: RunConfig,
    log: RunLog,
    *,
    until: Last = "report",
    tuned: Results | None = None,
    into: Results | None = None,
) -> Results:
    """Run the steps up to `until`; a whole run with `dry_run` stops after its estimate.

    Args:
        config: the run's parameters.
        log: the steps of the flow in progress.
        until: the last step.
        tuned: makes this the second pass of a `refit`: nothing is held out of its training, and
            the number of epochs and the fusion policy are those that this pass chose.
        into: where references are put as they come; by default an object of its own.
    """
    store, seed = ArtifactStore(root=config.artifact_root), config.seed
    made = into or Results()

    if tuned is None:
        source = source_fingerprint(config.data)
        made.data = ingest(store, config=config.data, fingerprint=source)
        with_key = api_key(config.tmdb) is not None
        made.data = enrich(store, data=made.data, config=config.tmdb, with_key=with_key)
        if until == "enrich":
            return made
        interactions = made.data.interactions
        made.split = split(
            store, interactions=interactions, config=config.split, seed=seed,
            allow_repeats=made.data.allow_repeats,
        )  # fmt: skip
        made.held_out = test_split(store, interactions=interactions, config=config.split, seed=seed)
    else:
        made.data = tuned.data
        made.split = split_everything(
            store, interactions=made.data.interactions, allow_repeats=made.data.allow_repeats
        )
    ratings = made.data.scale
    if until == "split":
        return made

    if until == "report" and (config.dry_run or config.llm.uses_model):
        dry_run(config, data=made.data, split=made.split, kept=_kept(config, log))
        if config.dry_run:
            return made

    made.item_profiles = item_profiles(
        store, catalogue=made.data.catalogue, llm=config.llm, config=config.item_profiles,
        published=file_hash(config.item_profiles.file),
    )  # fmt: skip
    made.user_profiles = user_profiles(
        store, known_users=made.data.known_users, catalogue=made.data.catalogue, split=made.split,
        items=made.item_profiles, llm=config.llm, config=config.user_profiles, ratings=ratings,
        published=file_hash(config.user_profiles.file),
    )  # fmt: skip
    if until == "user_profiles":
        return made

    made.embeddings = embed(
        store, catalogue=made.data.catalogue, items=made.item_profiles, users=made.user_profiles,
        config=config.embedding,
    )  # fmt: skip
    if until == "embed":
        return made

    made.graph = graph(
        store, known_users=made.data.known_users, item_ids=made.data.item_ids, split=made.split
    )
    made.last = last_run(config, made.split) if tuned is None else tuned.last
    earlier, made.warm_start = honest_start(
        made.last, config, split=made.split, held_out=None if tuned else made.held_out,
        tuned=tuned.model if tuned else None,
    )  # fmt: skip
    made.model = train(
        store, split=made.split, graph=made.graph, embeddings=made.embeddings, config=config.graph,
        ratings=ratings, seed=seed, tuned=tuned.model if tuned else None,
        earlier=earlier,
    )  # fmt: skip
    made.candidates = candidates(
        store, item_ids=made.data.item_ids, split=made.split, graph=made.graph, model=made.model,
        k=list_length(config), head=config.rerank.candidates, config=config.candidates,
        last=made.last.candidates(served=tuned is not None) if made.last else None,
    )  # fmt: skip
    if until == "candidates":
        return made

    judge = partial(
        rerank, store, config.fan_out, catalogue=made.data.catalogue, split=made.split,
        items=made.item_profiles, users=made.user_profiles, embeddings=made.embeddings,
        llm=config.llm, config=config.rerank, ratings=ratings, seed=seed,
    )  # fmt: skip
    seen = None
    if config.fusion.policy == "auto" and tuned is None:
        made.probe_judgements = []
        seen = probe(
            store, judge, split=made.split, candidates=made.candidates, ratings=ratings,
            cold_below=config.evaluation.cold_below, config=config.fusion, seed=seed,
            judged=made.probe_judgements,
        )  # fmt: skip
    made.policy = fusion_policy(
        store, known_users=made.data.known_users, split=made.split,
        cold_below=config.evaluation.cold_below, config=config.fusion, probe=seen,
        tuned=tuned.policy if tuned else None,
    )  # fmt: skip
    made.served_model = served_model(
        store, known_users=made.data.known_users, catalogue=made.data.catalogue, split=made.split,
        items=made.item_profiles, users=made.user_profiles, graph=made.graph,
        embeddings=made.embeddings, model=made.model, policy=made.policy,
        ratings=made.data.manifest.files["interactions.parquet"].rows,
        config=ServingConfig.of(config, ratings),
    )  # fmt: skip
    everyone = config.fusion.judge_everyone
    made.judgements = judge(candidates=made.candidates, only=None if everyone else made.policy)
    made.reranked = fusion(
        store, candidates=made.candidates, judged=made.judgements, policy=made.policy,
        weight=config.fusion.fixed_weight, scale=config.fusion.fixed_scale,
    )  # fmt: skip
    if config.diversity.method != "none":
        made.reranked = diversify(
            store, catalogue=made.data.catalogue, split=made.split, reranked=made.reranked,
            ratings=ratings, config=config.diversity,
        )  # fmt: skip
    if until == "fusion":
        return made

    # Of a run that refits, the lists of its second pass are served: only they get reasons.
    if config.refit and tuned is None and until != "explain":
        served = pipeline(config, log, until="explain", tuned=made)
    else:
        served = made
        made.attributions = attribute(
            store, item_ids=made.data.item_ids, split=made.split, graph=made.graph,
            embeddings=made.embeddings, model=made.model, reranked=made.reranked,
            policy=made.policy, titles=config.rerank.candidates,
            keep_margin=config.explanations.keep_margin,
            last=made.last.attributions() if made.last else None,
        )  # fmt: skip
        made.recommendations = explain(
            store, config.fan_out, catalogue=made.data.catalogue, split=made.split,
            items=made.item_profiles, users=made.user_profiles, attributions=made.attributions,
            reranked=made.reranked, llm=config.llm, config=config.explanations, ratings=ratings,
            titles=config.rerank.candidates,
        )  # fmt: skip
    if until == "explain":
        return made

    made.baselines = baselines(
        store,
        known_users=made.data.known_users,
        item_ids=made.data.item_ids,
        split=made.split,
        ratings=ratings,
        k=max(config.evaluation.cutoffs),
    )
    made.metrics = evaluate(
        store, catalogue=made.data.catalogue, item_ids=made.data.item_ids, split=made.split,
        held_out=made.held_out,
        candidates=made.candidates, reranked=made.reranked, baselines=made.baselines,
        ratings=ratings, config=config.evaluation, seed=seed,
    )  # fmt: skip
    made.fold_in_check = fold_in_check(
        store, served=made.served_model, held_out=made.held_out,
        bootstrap=config.evaluation.bootstrap, seed=seed,
    )  # fmt: skip
    made.explanation_metrics = [
        explanation_metrics(
            store, catalogue=served.data.catalogue, split=served.split, items=served.item_profiles,
            users=served.user_profiles, recommendations=served.recommendations, ratings=ratings,
            bootstrap=config.evaluation.bootstrap, seed=seed,
        )
    ]  # fmt: skip
    made.explanation_metrics.append(
        fidelity(
            store, item_ids=served.data.item_ids, split=served.split, graph=served.graph,
            embeddings=served.embeddings, model=served.model,
            recommendations=served.recommendations, users=config.explanations.fidelity_users,
            bootstrap=config.evaluation.bootstrap, seed=seed,
        )
    )  # fmt: skip
    if config.explanations.judge:
        made.explanation_metrics.append(
            explanation_judge(
                store, catalogue=served.data.catalogue, split=served.split,
                items=served.item_profiles, users=served.user_profiles,
                attributions=served.attributions, recommendations=served.recommendations,
                llm=config.llm, ratings=ratings,
                judged_users=config.explanations.judge_users,
                bootstrap=config.evaluation.bootstrap, seed=seed,
            )
        )  # fmt: skip
    if until == "explanation_metrics":
        return made

    made.trade_off = trade_off(
        store, catalogue=made.data.catalogue, split=made.split, candidates=made.candidates,
        ratings=ratings, pool=config.diversity.pool,
    )  # fmt: skip
    made.figures = plots(store, metrics=made.metrics, model=served.model, trade_off=made.trade_off)
    made.summary = report(config, log, evaluated=made, served=served)
    processed(config, made.data)
    LastRuns(config).put(left_by(config, made.summary.run_name, made, served))
    publish_artifacts(
        made.summary, recommendations=served.recommendations, figures=made.figures,
        calls=made_calls(config.llm, config.artifact_root, log),
    )  # fmt: skip
    return made


def _kept(config: RunConfig, log: RunLog) -> Results:
    """What the pipeline finds done, up to the first step that is not."""
    kept = Results()
    with kept_only(), suppress(NotKept):
        pipeline(config, log, until="explanation_metrics", into=kept)
    return kept
