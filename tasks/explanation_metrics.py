"""Step `explanation_metrics`: the reasons measured against profiles, metadata and ratings."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import METRICS, MODEL, RANK
from recsys_core.explanations.evaluation.metrics import evaluate_explanations
from recsys_core.interactions.feedback import RatingScale
from recsys_core.report.summary import HEADLINE_K
from tasks.runtime.references import (
    CatalogueRef,
    ItemProfilesRef,
    MetricsRef,
    RecommendationsRef,
    SplitRef,
    UserProfilesRef,
)
from tasks.runtime.step import step


@step("explanation_metrics", version="7", returns=MetricsRef)
def explanation_metrics(
    out: ArtifactWriter,
    *,
    catalogue: CatalogueRef,
    split: SplitRef,
    items: ItemProfilesRef,
    users: UserProfilesRef,
    recommendations: RecommendationsRef,
    ratings: RatingScale,
    bootstrap: int,
    seed: int,
) -> None:
    """Measure what the reasons claim against profiles, metadata and training ratings.

    Args:
        out: table `metrics` (`columns.METRICS`, protocol `explanations`).
        catalogue: the items.
        split: only what lists are made from is read.
        items: item profiles.
        users: user profiles.
        recommendations: the lists with their reasons.
        ratings: thresholds.
        bootstrap: resamples of users for the intervals.
        seed: of resamples and samples.
    """
    lists = recommendations.table("recommendations")
    longest = lists.select(pl.col(RANK).max().fill_null(1)).item()
    found = evaluate_explanations(
        lists,
        history=split.shown,
        counted=split.learned,
        items=catalogue.table("items"),
        item_profiles=items.table("item_profiles"),
        user_profiles=users.table("user_profiles"),
        like_from=ratings.like_from,
        method=writers(lists),
        cutoffs=sorted({min(HEADLINE_K, longest), longest}),
        bootstrap=bootstrap,
        seed=seed,
    )
    out.table("metrics", found, METRICS)


def writers(recommendations: pl.DataFrame) -> str:
    """Who wrote the reasons: the models, or `rules`."""
    return ", ".join(recommendations[MODEL].unique().sort().drop_nulls()) or "nobody"
