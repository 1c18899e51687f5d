"""Step `fidelity`: whether the reasons cite what made the recommendations."""

import numpy as np
import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import METRICS, RANK
from recsys_core.report.summary import HEADLINE_K
from tasks.explanation_metrics import writers
from tasks.runtime.progress import progress
from tasks.runtime.references import (
    EmbeddingsRef,
    GraphRef,
    ItemIdsRef,
    MetricsRef,
    ModelRef,
    RecommendationsRef,
    SplitRef,
)
from tasks.runtime.saved_models import read_model
from tasks.runtime.step import step


@step("fidelity", version="15", returns=MetricsRef)
def fidelity(
    out: ArtifactWriter,
    *,
    item_ids: ItemIdsRef,
    split: SplitRef,
    graph: GraphRef,
    embeddings: EmbeddingsRef,
    model: ModelRef,
    recommendations: RecommendationsRef,
    users: int,
    bootstrap: int,
    seed: int,
) -> None:
    """Take cited titles away and see what becomes of the recommendation.

    Args:
        out: table `metrics` (`columns.METRICS`, protocol `explanations`).
        item_ids: says which items may be recommended.
        split: what users are placed by, and what the model learned from.
        graph: nodes.
        embeddings: texts that the model was trained with.
        model: the trained model.
        recommendations: the lists with their reasons.
        users: how many, drawn by the seed, are measured.
        bootstrap: resamples of users for the intervals.
        seed: of samples and resamples.
    """
    from recsys_core.explanations.attribution.attribute import KnownUsers
    from recsys_core.explanations.evaluation.fidelity import fidelity_table, measure_fidelity
    from recsys_core.graph.inference.counterfactual import Counterfactuals

    fitted = read_model(model, graph=graph, embeddings=embeddings, split=split)
    nodes, lists = fitted.graph, recommendations.table("recommendations")
    allowed = nodes.item_ids.is_in(item_ids.candidate_items.implode())
    known = KnownUsers(
        ids=nodes.user_ids, shown=nodes.edges_of(split.shown), profiles=fitted.user_text,
        attributes=nodes.user_attributes, vectors=fitted.served.user_vectors,
    )  # fmt: skip
    with progress("fidelity", users) as report:
        rows = measure_fidelity(
            Counterfactuals.of(fitted), known, lists, users=users,
            barred=np.flatnonzero(~allowed.to_numpy()), seen=nodes.edges_of(split.masked),
            seed=seed, on_user=report,
        )  # fmt: skip
    longest = lists.select(pl.col(RANK).max().fill_null(1)).item()
    cutoffs = sorted({min(HEADLINE_K, longest), longest})
    found = fidelity_table(
        rows, method=writers(lists), cutoffs=cutoffs, bootstrap=bootstrap, seed=seed
    )
    out.table("metrics", found, METRICS)
