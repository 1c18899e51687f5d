"""Step `attribute`: what made each recommendation, exactly."""

import numpy as np
import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import ATTRIBUTIONS, RANK, USER
from tasks.runtime.progress import progress
from tasks.runtime.references import (
    AttributionsRef,
    EmbeddingsRef,
    GraphRef,
    ItemIdsRef,
    ModelRef,
    PolicyRef,
    RerankedRef,
    SplitRef,
)
from tasks.runtime.saved_models import read_model
from tasks.runtime.step import step
from tasks.train import CHOSEN_ANEW


@step("attribute", version="20", returns=AttributionsRef, hints=("last",))
def attribute(
    out: ArtifactWriter,
    *,
    item_ids: ItemIdsRef,
    split: SplitRef,
    graph: GraphRef,
    embeddings: EmbeddingsRef,
    model: ModelRef,
    reranked: RerankedRef,
    policy: PolicyRef,
    titles: int,
    keep_margin: float,
    last: AttributionsRef | None = None,
) -> None:
    """Say what contributed to the score of each of every user's first `titles` titles.

    Args:
        out: table `attributions`.
        item_ids: says which items may be recommended.
        split: what users are placed by, and what the model learned from.
        graph: nodes.
        embeddings: texts that the model was trained with.
        model: the trained model.
        reranked: the lists in their final order.
        policy: whose lists are reranked, with which weight.
        titles: how many entries a list has.
        keep_margin: points of influence by which a cause of the last run is preferred.
        last: the attributions of the last run of the same configuration.
    """
    from recsys_core.explanations.attribution.attribute import KnownUsers
    from recsys_core.explanations.attribution.attribute import attribute as attribute_users
    from recsys_core.explanations.attribution.judgements import with_judgements
    from recsys_core.graph.inference.counterfactual import Counterfactuals

    fitted = read_model(model, graph=graph, embeddings=embeddings, split=split)
    nodes, lists = fitted.graph, reranked.table("reranked").filter(pl.col(RANK) <= titles)
    allowed = nodes.item_ids.is_in(item_ids.candidate_items.implode())
    users = KnownUsers(
        ids=nodes.user_ids, shown=nodes.edges_of(split.shown), profiles=fitted.user_text,
        attributes=nodes.user_attributes, vectors=fitted.served.user_vectors,
    )  # fmt: skip
    # Where the last choices were given up, what they said of causes is, too.
    known = last is not None and CHOSEN_ANEW not in model.manifest.facts
    before = last.table("attributions") if last is not None and known else None
    with progress("attribution", lists[USER].n_unique()) as report:
        found = attribute_users(
            Counterfactuals.of(fitted),
            users,
            lists,
            barred=np.flatnonzero(~allowed.to_numpy()),
            seen=nodes.edges_of(split.masked),
            last=before,
            margin=keep_margin,
            on_user=report,
        )
    found = with_judgements(found, lists, policy.table("users"))
    out.table("attributions", found, ATTRIBUTIONS)
