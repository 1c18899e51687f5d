"""Step `train`: the graph model, stopped early by validation, refitted on validation rows too."""

from typing import Final

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CURVES
from recsys_core.graph.config import GraphConfig
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import aligned
from tasks.embed import FEATURES
from tasks.graph import read_graph
from tasks.runtime.item_models import write_item_model
from tasks.runtime.progress import progress
from tasks.runtime.references import EmbeddingsRef, GraphRef, ModelRef, SplitRef
from tasks.runtime.step import HOUR, step
from tasks.runtime.vector_tables import write_vectors
from tasks.runtime.warm_start import WARM, start_of

BEST_EPOCH: Final = "best_epoch"
CHOICE: Final = "choice"
"""Fact: the components and weights that validation chose; null without components."""
WEIGHING: Final = "weighing"
"""Fact: thresholds and weights of ratings, which the item-to-item part reads histories with."""
SEARCHED: Final = "search_"
"""Prefix of the tables of the model that saw no validation row."""


@step("train", version="16", returns=ModelRef, timeout_seconds=6 * HOUR, tags=("gpu",))
def train(
    out: ArtifactWriter,
    *,
    split: SplitRef,
    graph: GraphRef,
    embeddings: EmbeddingsRef,
    config: GraphConfig,
    ratings: RatingScale,
    seed: int,
    tuned: ModelRef | None = None,
    earlier: ModelRef | None = None,
) -> None:
    """Train the graph model (paper, section 2.2).

    Args:
        out: tables `users` and `items` (vectors), `item_to_item`, `item_factors` and
            `item_priors` (the item-to-item part of the score), `curves`; `weights.safetensors`; and
            the first five of the model that saw no validation row, after the prefix `search_`. A
            server adds the dot product of the vectors and `ItemToItemModel.scores`.
        split: its validation part stops the training.
        graph: nodes, what is known of users, and training edges.
        embeddings: text vectors of users, text vectors and features of items.
        config: model and training.
        ratings: thresholds.
        seed: of every random choice.
        tuned: an earlier model whose number of epochs, components and weights are taken, where
            nothing is held out.
        earlier: the model of an earlier run to go on from, which knows no row held out here.
    """
    from recsys_core.graph.training.score_sum import Choice
    from recsys_core.graph.training.trainer import train as fit

    bipartite = read_graph(graph)
    epochs = None if tuned is None else int(tuned.manifest.facts[BEST_EPOCH])
    chosen = None if tuned is None else tuned.manifest.facts[CHOICE]
    of_items = FEATURES if config.item_features else "items"
    start = start_of(earlier)
    valid = bipartite.edges_of(split.table("valid"))
    ratings_there = len(bipartite.edges) + len(valid)
    sized = config.for_data(ratings_there, bipartite.n_users, bipartite.n_items)
    with progress("graph training", sized.max_epochs) as report:
        trained = fit(
            bipartite,
            valid,
            aligned(embeddings.table("users"), bipartite.user_ids),
            aligned(embeddings.table(of_items), bipartite.item_ids),
            sized,
            ratings,
            seed,
            epochs=epochs,
            on_epoch=report,
            scratch=out.scratch,
            start=start,
            choice=None if chosen is None else Choice(**chosen),
        )
    for prefix, found in (("", trained.served), (SEARCHED, trained.search)):
        write_vectors(out, f"{prefix}users", bipartite.user_ids, found.user_vectors)
        write_vectors(out, f"{prefix}items", bipartite.item_ids, found.item_vectors)
        write_item_model(out, prefix, found.item_model)
    out.table("curves", trained.curves, CURVES)
    out.data("weights.safetensors", trained.to_bytes())
    out.fact(WARM, start is not None)
    weighing = {"neutral": sized.neutral_weight, "scale": ratings.model_dump()}
    out.fact(WEIGHING, weighing, in_content=True)
    out.fact(BEST_EPOCH, trained.best_epoch, in_content=True)
    for name, value in trained.facts.items():
        out.fact(name, value, in_content=name == CHOICE)
