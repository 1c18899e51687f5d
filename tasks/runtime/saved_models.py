"""The trained model of the artifacts, with all that placing a user by it needs."""

from typing import TYPE_CHECKING, Final

from recsys_core.graph.config import TrainingConfig
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import aligned
from tasks.embed import FEATURES
from tasks.runtime.item_models import FACTS
from tasks.runtime.references import EmbeddingsRef, GraphRef, ModelRef, SplitRef

if TYPE_CHECKING:
    from recsys_core.graph.inference.fold_in import FittedModel

CONFIG: Final = "config"
"""Fact of the model: its configuration with nothing left open."""
WEIGHING: Final = "weighing"
"""Fact: thresholds and weights of ratings, which the item-to-item part reads histories with."""
SCALE: Final = "scale"
"""Entry of `WEIGHING`: the `RatingScale`."""
NEUTRAL: Final = "neutral"
"""Entry of `WEIGHING`: what a rating counts for that is neither liked nor disliked."""
SEARCHED: Final = "search_"
"""Prefix of the tables and files of the model that saw no validation row, users by train alone."""


def read_model(
    model: ModelRef, *, graph: GraphRef, embeddings: EmbeddingsRef, split: SplitRef
) -> "FittedModel":
    """The served model: what fold-in and attribution need.

    Args:
        model: weights, vectors, components.
        graph: nodes, and the edges of the training part.
        embeddings: the texts that it was trained with.
        split: the rows that it learned from.
    """
    from recsys_core.graph.components.item_model import TABLES
    from recsys_core.graph.inference.saved_model import (
        COMPONENTS_FILE,
        ITEM_VECTORS,
        USER_VECTORS,
        WEIGHTS_FILE,
        fitted_model,
    )
    from recsys_core.graph.interaction_graph import InteractionGraph

    nodes = InteractionGraph.from_tables({name: graph.table(name) for name in graph.tables})
    nodes = nodes.with_edges(nodes.edges_of(split.learned))
    facts = model.manifest.facts
    config = TrainingConfig.model_validate(facts[CONFIG])
    maps = facts.get(FACTS)
    wanted = [USER_VECTORS, ITEM_VECTORS, *(() if maps is None else TABLES)]
    return fitted_model(
        nodes,
        tables={name: model.table(name) for name in wanted},
        weights=model.data(WEIGHTS_FILE),
        components=model.data(COMPONENTS_FILE),
        item_model=maps,
        user_text=aligned(embeddings.table("users"), nodes.user_ids),
        item_text=aligned(
            embeddings.table(FEATURES if config.item_features else "items"), nodes.item_ids
        ),
        config=config,
        scale=RatingScale.model_validate(facts[WEIGHING][SCALE]),
    )
