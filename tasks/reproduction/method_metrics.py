"""Step `measured`: the metrics of one method's lists on one fold."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import ITEM, METRICS, PER_USER, USER
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.cross_validation import user_table
from recsys_core.evaluation.protocols import CONDENSED, FULL, judge
from recsys_core.interactions.feedback import RatingScale
from recsys_core.report.summary import headline_k
from tasks.runtime.references import (
    HeldOutRef,
    ItemIdsRef,
    ListsRef,
    MetricsRef,
    RerankedRef,
    SplitRef,
)
from tasks.runtime.step import step


@step("measured", version="3", returns=MetricsRef)
def method_metrics(
    out: ArtifactWriter,
    *,
    item_ids: ItemIdsRef,
    split: SplitRef,
    held_out: HeldOutRef,
    lists: ListsRef | RerankedRef,
    method: str,
    ratings: RatingScale,
    config: EvaluationConfig,
    seed: int,
) -> None:
    """Measure one method's lists on the test split, all users and cold users, both protocols.

    Args:
        out: tables `metrics` and `per_user`; the latter at one cut-off, for paired tests.
        item_ids: says which items may be recommended.
        split: train and valid.
        held_out: the test part; only here are test ratings read.
        lists: the method's lists.
        method: name in the tables.
        ratings: thresholds.
        config: cut-offs, the bound of cold users, bootstrap resamples.
        seed: of the bootstrap.
    """
    known, masked = split.known, split.masked
    test = held_out.table("test").filter(pl.col(ITEM).is_in(item_ids.candidate_items.implode()))
    ranking = lists.table("reranked" if isinstance(lists, RerankedRef) else "candidates")
    ranking = ranking.join(test.select(USER).unique(), on=USER, how="semi")
    judged = [
        judge(
            ranking, known, test, masked=masked, method=method, protocol=protocol,
            items=item_ids.ids, cutoffs=config.cutoffs, like_from=ratings.like_from,
            max_train_interactions=group.at_most, history=group.history,
        )
        for protocol in (FULL, CONDENSED)
        for group in split.user_groups(config)
    ]  # fmt: skip
    metrics = [one.table(bootstrap=config.bootstrap, seed=seed) for one in judged]
    out.table("metrics", pl.concat(metrics), METRICS)
    k = headline_k(config.cutoffs)
    out.table("per_user", pl.concat([user_table(one, k) for one in judged]), PER_USER)
    for name, count in judged[0].notes.items():
        out.fact(name, count)
