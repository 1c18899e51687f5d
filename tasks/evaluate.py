"""Step `evaluate`: the metrics of every method's lists on the test split, both protocols."""

from collections.abc import Sequence

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import ITEM, METHOD, METRICS, RANK, RANKING, STRATEGY, USER
from recsys_core.evaluation import protocols
from recsys_core.evaluation.beyond_accuracy import beyond_accuracy, genre_vectors
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.interactions.feedback import RatingScale
from recsys_core.rerank.fusion import GRAPH_ONLY
from tasks.runtime.references import (
    BaselinesRef,
    CandidatesRef,
    CatalogueRef,
    HeldOutRef,
    ItemIdsRef,
    MetricsRef,
    RerankedRef,
    SplitRef,
    UserGroup,
)
from tasks.runtime.step import step

GRAPH_METHOD = "gat"
"""Name of the graph model's lists in the metrics table."""
SERVED_METHOD = "served"
"""Name of the lists that the fusion's policy serves."""


@step("evaluate", version="2", returns=MetricsRef)
def evaluate(
    out: ArtifactWriter,
    *,
    catalogue: CatalogueRef,
    item_ids: ItemIdsRef,
    split: SplitRef,
    held_out: HeldOutRef,
    candidates: CandidatesRef,
    reranked: RerankedRef,
    baselines: BaselinesRef,
    ratings: RatingScale,
    config: EvaluationConfig,
    seed: int,
) -> None:
    """Measure every method's lists; only here are test ratings read.

    Args:
        out: table `metrics` (`columns.METRICS`), empty where nothing is held out.
        catalogue: the items, with their genres.
        item_ids: says which items may be recommended.
        split: train and valid, which lists leave out.
        held_out: the test part; interactions with items that may not be recommended do not count.
        candidates: the graph model's lists.
        reranked: the same after reranking and fusion.
        baselines: a table of lists per baseline.
        ratings: thresholds.
        config: cut-offs, the bound of cold users, bootstrap resamples.
        seed: of the bootstrap; the same resamples for every method.
    """
    items, allowed = catalogue.table("items"), item_ids.candidate_items
    known, masked = split.known, split.masked
    test = held_out.table("test").filter(pl.col(ITEM).is_in(allowed.implode()))
    lists = {name: baselines.table(name) for name in baselines.tables}
    lists |= our_lists(candidates, reranked)
    frames = [pl.DataFrame(schema=dict(METRICS))]
    if not test.is_empty():
        for name, ranking in lists.items():
            # Users without an interaction have lists, too, which nothing can be compared with.
            tested = ranking.join(test.select(USER).unique(), on=USER, how="semi")
            frames += _accuracy(
                name, tested, known, masked, test, items[ITEM], ratings, config, seed,
                groups=split.user_groups(config),
            )  # fmt: skip
            frames.append(
                beyond_accuracy(
                    tested,
                    known,
                    allowed,
                    method=name,
                    cutoffs=config.cutoffs,
                    vectors=genre_vectors(items),
                    bootstrap=config.bootstrap,
                    seed=seed,
                )
            )
    out.table("metrics", pl.concat(frames), METRICS)


def our_lists(candidates: CandidatesRef, reranked: RerankedRef) -> dict[str, pl.DataFrame]:
    """The graph's lists, those with everybody reranked (if all were judged), the served ones."""
    graph, everybody, served = (
        candidates.table("candidates"), reranked.table("everybody"), reranked.table("reranked"),
    )  # fmt: skip
    lists = {GRAPH_METHOD: graph}
    strategies = sorted(set(everybody[STRATEGY]))
    if strategies and GRAPH_ONLY not in strategies:
        lists[f"{GRAPH_METHOD}+{'/'.join(strategies)}"] = everybody
    if set(served[STRATEGY]) - {GRAPH_ONLY} or not _same_order(graph, served):
        lists[SERVED_METHOD] = served
    return lists


def _same_order(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    ordered = [lists.select(*RANKING).sort(USER, RANK) for lists in (one, other)]
    return ordered[0].equals(ordered[1])


def own_methods(metrics: pl.DataFrame) -> list[str]:
    """The run's own methods, the served lists first; the rest are baselines."""
    methods = metrics[METHOD].unique(maintain_order=True).to_list()
    own = [name for name in methods if name == SERVED_METHOD or name.startswith(GRAPH_METHOD)]
    return sorted(own, key=lambda name: name != SERVED_METHOD)


def _accuracy(
    name: str,
    ranking: pl.DataFrame,
    known: pl.DataFrame,
    masked: pl.DataFrame,
    test: pl.DataFrame,
    items: pl.Series,
    ratings: RatingScale,
    config: EvaluationConfig,
    seed: int,
    *,
    groups: Sequence[UserGroup],
) -> list[pl.DataFrame]:
    return [
        protocols.evaluate(
            ranking, known, test, method=name, protocol=protocol, cutoffs=config.cutoffs,
            like_from=ratings.like_from, max_train_interactions=group.at_most, items=items,
            masked=masked, history=group.history, bootstrap=config.bootstrap, seed=seed,
        )
        for protocol in (protocols.FULL, protocols.CONDENSED)
        for group in groups
    ]  # fmt: skip
