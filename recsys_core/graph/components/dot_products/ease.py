"""The EASE component: a low-rank EASE with side information, added to the network's scores.

It is fitted on rating weights, with user attributes as further input columns and rating sessions as
further rows (`feature_ease`, `rating_sessions`).
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from recsys_core.graph.components.dot_products.feature_ease import (
    Factors,
    FeatureEase,
    FeatureEaseFitter,
    rows_of,
    too_large,
)
from recsys_core.graph.components.dot_products.rating_sessions import rating_sessions
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import Edges, Floats, InteractionGraph, no_attributes
from recsys_core.graph.training.objective import target_weights
from recsys_core.graph.training.spec import TrainingSpec
from recsys_core.interactions.feedback import RatingScale


@dataclass(frozen=True, kw_only=True)
class EaseComponent:
    """Low-rank EASE on rating weights.

    Attributes:
        rated: (n_items, rank) added to the user's vector per rated item.
        described: (d, rank) added per attribute.
        items: (n_items, rank) vectors of the scored items.
        config: weights of ratings.
        data: thresholds of ratings.
    """

    rated: Floats
    described: Floats
    items: Floats
    config: GraphConfig
    data: RatingScale

    def of_training(self, graph: InteractionGraph) -> Floats:
        """As `Component.of_training`."""
        return self.users(graph.edges, graph.user_attributes)

    def users(self, edges: Edges, attributes: Floats) -> Floats:
        """As `Component.users`."""
        weights = target_weights(edges.ratings, self.config, self.data)
        matrix = rows_of(edges, weights, (len(attributes), len(self.items)))
        vectors: Floats = np.asarray(matrix @ self.rated, dtype=np.float32)
        if attributes.shape[1] and len(self.described):
            vectors += attributes @ self.described
        return vectors


def ease_component(spec: TrainingSpec) -> FeatureEaseFitter | str:
    """Prepare the component, or say why there is none."""
    graph, attributes = spec.graph, _attributes(spec)
    if why := too_large(graph.n_items + attributes.shape[1], spec):
        return why
    weights = target_weights(graph.edges.ratings, spec.config, spec.data)
    likes = rows_of(graph.edges, weights, (graph.n_users, graph.n_items))
    rows = sparse.hstack([likes, sparse.csr_matrix(attributes)], format="csr")
    sessions = rating_sessions(graph.edges, weights, rows.shape[1]).astype(np.float32)
    regression = FeatureEase(matrix=rows, features=spec.item_text, seed=spec.seed, also=sessions)

    def made(found: Factors) -> EaseComponent:
        return EaseComponent(
            rated=found.rated[: graph.n_items],
            described=np.float32(spec.config.user_attributes_weight) * found.rated[graph.n_items :],
            items=found.items,
            config=spec.config,
            data=spec.data,
        )

    return FeatureEaseFitter(spec=spec, regression=regression, made=made, beside=False)


def _attributes(spec: TrainingSpec) -> Floats:
    """(n_users, d) what is known of the users, weighted; d is 0 where nothing does."""
    weight = spec.config.user_attributes_weight
    if not weight:
        return no_attributes(spec.graph.n_users)
    return np.float32(weight) * spec.graph.user_attributes
