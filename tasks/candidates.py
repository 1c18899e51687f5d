"""Step `candidates`: candidate generation by the graph model's scores, known items left out."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CANDIDATES
from recsys_core.config import RunConfig
from recsys_core.interactions.lookup import vector_array
from recsys_core.interactions.topk import ranked_lists, top_k
from tasks.graph import read_graph
from tasks.runtime.references import CandidatesRef, GraphRef, ModelRef, SplitRef
from tasks.runtime.step import step


@step("candidates", version="1", returns=CandidatesRef)
def candidates(
    out: ArtifactWriter, *, split: SplitRef, graph: GraphRef, model: ModelRef, k: int
) -> None:
    """Top k by dot product for every user, batched, known items left out.

    Args:
        out: `candidates`, from the final model, knows training and validation rows; and
            `valid_candidates`, from the model of the search, knows training rows only: what a
            choice on validation is made with. The latter is empty where nothing is held out.
        split: what users know already.
        graph: nodes.
        model: refined vectors.
        k: length of the lists.
    """
    nodes = read_graph(graph)
    train, valid = split.table("train"), split.table("valid")

    def best(prefix: str, known: pl.DataFrame) -> pl.DataFrame:
        users, items = model.table(f"{prefix}users"), model.table(f"{prefix}items")
        seen = nodes.edges_of(known)
        indices, scores = top_k(vector_array(users), vector_array(items), seen.users, seen.items, k)
        return ranked_lists(nodes.user_ids, nodes.item_ids, indices, scores)

    final = best("", pl.concat([train, valid]))
    out.table("candidates", final, CANDIDATES)
    held_out = best("search_", train) if not valid.is_empty() else final.clear()
    out.table("valid_candidates", held_out, CANDIDATES)


def list_length(config: RunConfig) -> int:
    """How many candidates per user a run needs: for reranking, and for the largest cut-off."""
    return max(config.rerank.candidates, *config.evaluation.cutoffs)
