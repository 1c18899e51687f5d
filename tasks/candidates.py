"""Step `candidates`: candidate generation by the graph model's scores, known items left out."""

from functools import partial

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CANDIDATES
from recsys_core.config import RunConfig
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import vector_array
from recsys_core.interactions.topk import ranked_lists, top_k
from tasks.graph import read_graph
from tasks.runtime.item_models import read_item_model
from tasks.runtime.references import CandidatesRef, GraphRef, ModelRef, SplitRef
from tasks.runtime.step import step
from tasks.train import SEARCHED, WEIGHING


@step("candidates", version="2", returns=CandidatesRef)
def candidates(
    out: ArtifactWriter, *, split: SplitRef, graph: GraphRef, model: ModelRef, k: int
) -> None:
    """Top k of every user by the model's score, in blocks of users, known items left out.

    Args:
        out: `candidates`, from the final model, knows training and validation rows; and
            `valid_candidates`, from the model of the search, knows training rows only: what a
            choice on validation is made with. The latter is empty where nothing is held out.
        split: what users know already.
        graph: nodes.
        model: vectors, and the item-to-item part of the score.
        k: length of the lists.
    """
    from recsys_core.graph.training.score_sum import histories_of

    nodes = read_graph(graph)
    train, valid = split.table("train"), split.table("valid")

    def best(prefix: str, known: pl.DataFrame) -> pl.DataFrame:
        users, items = (vector_array(model.table(f"{prefix}{one}")) for one in ("users", "items"))
        seen, maps = nodes.edges_of(known), read_item_model(model, prefix)
        added = None
        if maps is not None:
            weighing = model.manifest.facts[WEIGHING]
            scale = RatingScale.model_validate(weighing["scale"])
            shape = nodes.n_users, nodes.n_items
            histories = histories_of(seen, shape, weighing["neutral"], scale)
            added = partial(maps.scores, maps.rows(histories))
        indices, scores = top_k(users, items, seen.users, seen.items, k, added=added)
        return ranked_lists(nodes.user_ids, nodes.item_ids, indices, scores)

    final = best("", pl.concat([train, valid]))
    out.table("candidates", final, CANDIDATES)
    held_out = best(SEARCHED, train) if not valid.is_empty() else final.clear()
    out.table("valid_candidates", held_out, CANDIDATES)


def list_length(config: RunConfig) -> int:
    """How many candidates per user a run needs: for reranking, and for the largest cut-off."""
    return max(config.rerank.candidates, *config.evaluation.cutoffs)
