"""Step `evaluate`: the metrics of every method's lists on the test split, both protocols."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import (
    COMPARISONS,
    ITEM,
    METHOD,
    METHOD_PER_USER,
    METRICS,
    RANK,
    RANKING,
    STRATEGY,
    USER,
)  # fmt: skip
from recsys_core.evaluation import protocols
from recsys_core.evaluation.beyond_accuracy import beyond_accuracy, genre_vectors
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.method_comparison import against_best_baseline, per_user_table
from recsys_core.interactions.feedback import RatingScale
from recsys_core.report.sections.method_names import (
    GRAPH_METHOD,
    SERVED_METHOD,
    is_own,
    reranked_method,
)  # fmt: skip
from recsys_core.report.summary import headline_k
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
)
from tasks.runtime.step import step


@step("evaluate", version="5", returns=MetricsRef)
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
        out: tables `metrics` (`columns.METRICS`), `per_user` (`columns.METHOD_PER_USER`, protocol
            `full` at the headline's cut-off) and `comparisons` (`columns.COMPARISONS`: our methods
            against the best baseline); empty where nothing is held out.
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
    test = held_out.table("test").filter(pl.col(ITEM).is_in(allowed.implode()))
    own = our_lists(candidates, reranked)
    lists = {name: baselines.table(name) for name in baselines.tables} | own
    frames, headline = [pl.DataFrame(schema=dict(METRICS))], []
    for name, ranking in lists.items() if test.height else ():
        # Users without an interaction have lists, too, which nothing can be compared with.
        tested = ranking.join(test.select(USER).unique(), on=USER, how="semi")
        judged = _judged(name, tested, split, test, items[ITEM], ratings, config)
        headline.append(judged[0])
        frames += [one.table(bootstrap=config.bootstrap, seed=seed) for one in judged]
        frames.append(
            beyond_accuracy(
                tested, split.known, allowed, method=name, cutoffs=config.cutoffs,
                vectors=genre_vectors(items), bootstrap=config.bootstrap, seed=seed,
            )
        )  # fmt: skip
    k = headline_k(config.cutoffs)
    out.table("metrics", pl.concat(frames), METRICS)
    out.table("per_user", per_user_table(headline, k), METHOD_PER_USER)
    tests = against_best_baseline(headline, list(own), k, seed=seed)
    out.table("comparisons", tests, COMPARISONS)


def our_lists(candidates: CandidatesRef, reranked: RerankedRef) -> dict[str, pl.DataFrame]:
    """The graph's lists, those with everybody reranked (if all were judged), the served ones."""
    graph, everybody, served = (
        candidates.table("candidates"), reranked.table("everybody"), reranked.table("reranked"),
    )  # fmt: skip
    lists = {GRAPH_METHOD: graph}
    strategies = sorted(set(everybody[STRATEGY]))
    if strategies and GRAPH_ONLY not in strategies:
        lists[reranked_method(strategies)] = everybody
    if set(served[STRATEGY]) - {GRAPH_ONLY} or not _same_order(graph, served):
        lists[SERVED_METHOD] = served
    return lists


def _same_order(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    ordered = [lists.select(*RANKING).sort(USER, RANK) for lists in (one, other)]
    return ordered[0].equals(ordered[1])


def own_methods(metrics: pl.DataFrame) -> list[str]:
    """The run's own methods, the served lists first; the rest are baselines."""
    methods = metrics[METHOD].unique(maintain_order=True).to_list()
    own = [name for name in methods if is_own(name)]
    return sorted(own, key=lambda name: name != SERVED_METHOD)


def _judged(
    name: str,
    ranking: pl.DataFrame,
    split: SplitRef,
    test: pl.DataFrame,
    items: pl.Series,
    ratings: RatingScale,
    config: EvaluationConfig,
) -> list[protocols.Judgement]:
    """One method under both protocols, for every group of users; `full` of all users first."""
    return [
        protocols.judge(
            ranking, split.known, test, method=name, protocol=protocol, cutoffs=config.cutoffs,
            like_from=ratings.like_from, max_train_interactions=group.at_most, items=items,
            masked=split.masked, history=group.history,
        )
        for protocol in (protocols.FULL, protocols.CONDENSED)
        for group in split.user_groups(config)
    ]  # fmt: skip
