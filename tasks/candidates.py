"""Step `candidates`: candidate generation by the graph model's scores, known items left out."""

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CANDIDATES
from recsys_core.config import RunConfig
from recsys_core.graph.config import CandidatesConfig
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import vector_array
from recsys_core.interactions.topk import Floats, Indices, ranked_lists, top_k
from tasks.graph import read_graph
from tasks.runtime.item_models import read_item_model
from tasks.runtime.references import CandidatesRef, GraphRef, ItemIdsRef, ModelRef, SplitRef
from tasks.runtime.saved_models import NEUTRAL, SCALE, SEARCHED, WEIGHING
from tasks.runtime.step import step
from tasks.train import CHOSEN_ANEW


@step("candidates", version="33", returns=CandidatesRef, hints=("last",))
def candidates(
    out: ArtifactWriter,
    *,
    item_ids: ItemIdsRef,
    split: SplitRef,
    graph: GraphRef,
    model: ModelRef,
    k: int,
    head: int,
    config: CandidatesConfig,
    last: CandidatesRef | None = None,
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
        head: their first places, which are judged and served: there the last ones are preferred.
        config: how far an item of the last lists is preferred.
        last: the candidates of the last run of the same configuration.
    """
    from recsys_core.graph.inference.kept_places import keep_places
    from recsys_core.graph.training.score_sum import histories_of, item_scores

    nodes = read_graph(graph)
    # Where the last choices were given up, the last lists are, too.
    chosen_anew = CHOSEN_ANEW in model.manifest.facts
    train, valid = split.table("train"), split.table("valid")
    allowed = nodes.item_ids.is_in(item_ids.candidate_items.implode())
    barred = np.flatnonzero(~allowed.to_numpy())

    def best(name: str, prefix: str, shown: pl.DataFrame, masked: pl.DataFrame) -> pl.DataFrame:
        users, items = (vector_array(model.table(f"{prefix}{one}")) for one in ("users", "items"))
        seen, maps = nodes.edges_of(masked), read_item_model(model, prefix)
        added = None
        if maps is not None:
            weighing = model.manifest.facts[WEIGHING]
            scale = RatingScale.model_validate(weighing[SCALE])
            shape = nodes.n_users, nodes.n_items
            known = nodes.edges_of(shown)
            histories = histories_of(known, shape, weighing[NEUTRAL], scale)
            added = partial(item_scores, maps, maps.rows(histories), nodes.attributes is not None)

        def top(more: Callable[[Indices], Floats] | None) -> tuple[Indices, Floats]:
            return top_k(users, items, seen.users, seen.items, k, added=more, barred=barred)

        if last is None or not config.keep_margin or chosen_anew:
            return ranked_lists(nodes.user_ids, nodes.item_ids, *top(added))
        found = keep_places(
            top, added, last.table(name), users=nodes.user_ids, items=nodes.item_ids,
            head=head, margin=config.keep_margin,
        )  # fmt: skip
        out.fact(f"{name}_kept_against_newcomers", found.kept)
        out.fact(f"{name}_noise_of_retraining", round(found.noise, 4))
        return ranked_lists(nodes.user_ids, nodes.item_ids, found.indices, found.scores)

    final = best("candidates", "", split.shown, split.masked)
    out.table("candidates", final, CANDIDATES)
    held_out = (
        best("valid_candidates", SEARCHED, train, train if split.masks else split.masked)
        if not valid.is_empty()
        else final.clear()
    )
    out.table("valid_candidates", held_out, CANDIDATES)


def list_length(config: RunConfig) -> int:
    """How many candidates per user a run needs: for reranking, and for the largest cut-off."""
    return max(config.rerank.candidates, *config.evaluation.cutoffs)
