"""Step `candidates`: candidate generation by the graph model's scores, known items left out."""

from functools import partial

import numpy as np
import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CANDIDATES
from recsys_core.config import RunConfig
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import vector_array
from recsys_core.interactions.topk import ranked_lists, top_k
from tasks.graph import read_graph
from tasks.runtime.item_models import read_item_model
from tasks.runtime.references import CandidatesRef, GraphRef, ItemIdsRef, ModelRef, SplitRef
from tasks.runtime.step import step
from tasks.train import SEARCHED, WEIGHING


@step("candidates", version="6", returns=CandidatesRef)
def candidates(
    out: ArtifactWriter,
    *,
    item_ids: ItemIdsRef,
    split: SplitRef,
    graph: GraphRef,
    model: ModelRef,
    k: int,
) -> None:
    """Top k of every user by the model's score, in blocks; known, unavailable items left out.

    Args:
        out: `candidates`, from the final model, knows training and validation rows; and
            `valid_candidates`, from the model of the search, knows training rows only: what a
            choice on validation is made with. The latter is empty where nothing is held out.
        item_ids: says which items may be recommended.
        split: what users know already, and what the final model learns from.
        graph: nodes.
        model: vectors, and the item-to-item part of the score.
        k: length of the lists.
    """
    from recsys_core.graph.training.score_sum import histories_of, item_scores

    nodes = read_graph(graph)
    train, valid = split.table("train"), split.table("valid")
    allowed = nodes.item_ids.is_in(item_ids.candidate_items.implode())
    barred = np.flatnonzero(~allowed.to_numpy())

    def best(prefix: str, shown: pl.DataFrame, masked: pl.DataFrame) -> pl.DataFrame:
        users, items = (vector_array(model.table(f"{prefix}{one}")) for one in ("users", "items"))
        seen, maps = nodes.edges_of(masked), read_item_model(model, prefix)
        added = None
        if maps is not None:
            weighing = model.manifest.facts[WEIGHING]
            scale = RatingScale.model_validate(weighing["scale"])
            shape = nodes.n_users, nodes.n_items
            known = nodes.edges_of(shown)
            histories = histories_of(known, shape, weighing["neutral"], scale)
            added = partial(item_scores, maps, maps.rows(histories), nodes.attributes is not None)
        indices, scores = top_k(users, items, seen.users, seen.items, k, added=added, barred=barred)
        return ranked_lists(nodes.user_ids, nodes.item_ids, indices, scores)

    # What the search trained knows no validation row: the final model where train alone teaches.
    searched = not split.learns_from_valid and not valid.is_empty()
    final = best(SEARCHED if searched else "", split.shown, split.masked)
    out.table("candidates", final, CANDIDATES)
    held_out = (
        best(SEARCHED, train, train if split.masks else split.masked)
        if not valid.is_empty()
        else final.clear()
    )
    out.table("valid_candidates", held_out, CANDIDATES)


def list_length(config: RunConfig) -> int:
    """How many candidates per user a run needs: for reranking, and for the largest cut-off."""
    return max(config.rerank.candidates, *config.evaluation.cutoffs)
