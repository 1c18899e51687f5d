"""Step `train`: the graph model, stopped early by validation, refitted on validation rows too."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CURVES, VALIDATED
from recsys_core.graph.config import GraphConfig
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import aligned
from tasks.embed import FEATURES
from tasks.graph import read_graph
from tasks.runtime.item_models import write_item_model
from tasks.runtime.progress import progress
from tasks.runtime.references import EmbeddingsRef, GraphRef, ModelRef, SplitRef
from tasks.runtime.saved_models import CONFIG, NEUTRAL, SCALE, SEARCHED, WEIGHING
from tasks.runtime.step import HOUR, step
from tasks.runtime.vector_tables import write_vectors
from tasks.runtime.warm_start import (
    BEST_EPOCH,
    CHOICE,
    OWED,
    VALIDATED_USERS,
    WENT_ON,
    Earlier,
    going_on,
    relevant_items,
    validated,
)

CHOSEN_ANEW: Final = "chosen_anew"
"""Fact: why the choices of an earlier training were given up; not there where none were."""


def _rests_on(inputs: Mapping[str, Any]) -> Mapping[str, object]:
    """A run to go on from that is named is wanted as such; the last one is only where to start."""
    if inputs["config"].warm_start_from is None or inputs["earlier"] is None:
        return {}
    return {"earlier": inputs["earlier"].model.content_hash}


@step(
    "train",
    version="46",
    returns=ModelRef,
    timeout_seconds=6 * HOUR,
    tags=("gpu",),
    rests_on=_rests_on,
    hints=("earlier",),
    libraries=("implicit", "scikit-learn", "scipy"),
)
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
    earlier: Earlier | None = None,
) -> None:
    """Train the graph model (paper, section 2.2).

    Args:
        out: tables `users` and `items` (vectors), `item_to_item`, `item_factors` and
            `item_priors` (the item-to-item part of the score), `curves`; `weights.safetensors` and
            `components.safetensors` (what places later users); and all of these but the curves of
            the model that saw no validation row, after the prefix `search_`; `validated`. A server
            adds the dot product of
            the vectors and `ItemToItemModel.scores`.
        split: its validation part stops the training; says what the served model learns from, and
            what its users are placed by.
        graph: nodes, what is known of users, and training edges.
        embeddings: text vectors of users, text vectors and features of items.
        config: model and training.
        ratings: thresholds.
        seed: of every random choice.
        tuned: an earlier model whose number of epochs, components and weights are taken, where
            nothing is held out.
        earlier: what an earlier run left to go on from, which knows no row held out here.
    """
    from recsys_core.graph.components.dot_products.component_file import components_to_bytes
    from recsys_core.graph.inference.saved_model import COMPONENTS_FILE, WEIGHTS_FILE, to_bytes
    from recsys_core.graph.training.score_sum import Choice
    from recsys_core.graph.training.trainer import train as fit

    bipartite = read_graph(graph)
    epochs = None if tuned is None else int(tuned.manifest.facts[BEST_EPOCH])
    chosen = None if tuned is None else tuned.manifest.facts[CHOICE]
    of_items = FEATURES if config.item_features else "items"
    relevant = relevant_items(split.table("valid"), ratings)
    on, owed = None, 0.0
    if earlier is not None:
        on, owed = going_on(
            earlier, split, relevant=relevant, users=bipartite.user_ids, features=of_items,
            fall=config.warm_start_fall,
        )  # fmt: skip
    valid = bipartite.edges_of(split.table("valid"))
    ratings_there = len(bipartite.edges) + len(valid)
    if earlier is not None and config.recipe == "auto":
        # The recipe shapes the parameters: it stays while a model goes on.
        recipe = earlier.model.manifest.facts["recipe"]
        config = config.model_copy(update={"recipe": recipe})
    elif tuned is not None and config.recipe == "auto":
        config = config.model_copy(update={"recipe": tuned.manifest.facts["recipe"]})
    sized = config.for_data(ratings_there, bipartite.n_users, bipartite.n_items)
    with progress("graph training", sized.max_epochs) as report:
        trained = fit(
            bipartite,
            valid,
            aligned(embeddings.table("users"), bipartite.user_ids),
            aligned(embeddings.table(of_items), bipartite.item_ids),
            config,
            ratings,
            seed,
            epochs=epochs,
            on_epoch=lambda epoch, epochs, *_: report(epoch, epochs),
            scratch=out.scratch,
            choice=None if chosen is None else Choice(**chosen),
            earlier=on,
            learn_valid=split.learns_from_valid,
            shown=bipartite.edges_of(split.shown),
        )
    for prefix, found, weights in (
        ("", trained.served, trained.weights),
        (SEARCHED, trained.search, trained.search_weights),
    ):
        write_vectors(out, f"{prefix}users", bipartite.user_ids, found.user_vectors)
        write_vectors(out, f"{prefix}items", bipartite.item_ids, found.item_vectors)
        write_item_model(out, prefix, found.item_model)
        out.data(f"{prefix}{WEIGHTS_FILE}", to_bytes(weights))
        out.data(f"{prefix}{COMPONENTS_FILE}", components_to_bytes(found))
    out.table("curves", trained.curves, CURVES)
    out.fact(WENT_ON, earlier.run if earlier and trained.went_on else None)
    out.fact(OWED, owed if trained.went_on else 0.0, in_content=True)
    ndcg = np.full(bipartite.n_users, np.nan) if trained.ndcg is None else trained.ndcg
    out.table(VALIDATED_USERS, validated(relevant, bipartite.user_ids, ndcg), VALIDATED)
    weighing = {NEUTRAL: sized.neutral_weight, SCALE: ratings.model_dump()}
    out.fact(WEIGHING, weighing, in_content=True)
    out.fact(CONFIG, trained.config.model_dump(mode="json"))
    out.fact(BEST_EPOCH, trained.best_epoch, in_content=True)
    for name, value in trained.facts.items():
        out.fact(name, value, in_content=name == CHOICE)
