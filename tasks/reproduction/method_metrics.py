"""Step `measured`: the metrics of one method's lists on one fold."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import METRICS, PER_USER
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.cross_validation import user_table
from recsys_core.evaluation.protocols import CONDENSED, FULL, judge
from recsys_core.interactions.feedback import RatingScale
from recsys_core.report.summary import HEADLINE_K
from tasks.runtime.references import HeldOutRef, ListsRef, MetricsRef, RerankedRef, SplitRef
from tasks.runtime.step import step


@step("measured", version="1", returns=MetricsRef)
def method_metrics(
    out: ArtifactWriter,
    *,
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
        split: train and valid.
        held_out: the test part; only here are test ratings read.
        lists: the method's lists.
        method: name in the tables.
        ratings: thresholds.
        config: cut-offs, the bound of cold users, bootstrap resamples.
        seed: of the bootstrap.
    """
    known = pl.concat([split.table("train"), split.table("valid")])
    ranking = lists.table("reranked" if isinstance(lists, RerankedRef) else "candidates")
    judged = [
        judge(
            ranking, known, held_out.table("test"), method=method, protocol=protocol,
            cutoffs=config.cutoffs, like_from=ratings.like_from, max_train_interactions=cold,
        )
        for protocol in (FULL, CONDENSED)
        for cold in (None, config.cold_below - 1)
    ]  # fmt: skip
    metrics = [one.table(bootstrap=config.bootstrap, seed=seed) for one in judged]
    out.table("metrics", pl.concat(metrics), METRICS)
    k = headline_k(config)
    out.table("per_user", pl.concat([user_table(one, k) for one in judged]), PER_USER)
    for name, count in judged[0].notes.items():
        out.fact(name, count)


def headline_k(config: EvaluationConfig) -> int:
    """The cut-off of tables and tests: 10 where it is measured, else the largest."""
    return HEADLINE_K if HEADLINE_K in config.cutoffs else max(config.cutoffs)
