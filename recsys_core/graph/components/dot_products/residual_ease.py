"""The residual EASE component: EASE on ratings minus the item's (shrunk) mean rating.

The other components learn from which items users chose; this one learns from how much better or
worse than usual they rated them. Koren, "Factorization Meets the Neighborhood" (KDD 2008) regresses
ratings less a baseline on one another by gradient descent; here it is the closed form of EASE.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from recsys_core.graph.components.dot_products.feature_ease import (
    Factors,
    FeatureEase,
    FeatureEaseFitter,
    rows_of,
    too_large,
)
from recsys_core.graph.interaction_graph import Edges, Floats, InteractionGraph
from recsys_core.graph.training.spec import TrainingSpec
from recsys_core.interactions.feedback import RatingScale

_PRIOR: Final = 5.0
"""Shrinkage of an item's mean towards the global mean, in ratings."""
STARS: Final = 4.0
"""Residuals are counted in stars of a scale from 1 to 5, whatever the scale of the data."""


@dataclass(frozen=True, kw_only=True)
class ResidualEase:
    """Low-rank EASE on residuals.

    Attributes:
        rated: (n_items, rank) added to the user's vector per star of residual.
        items: (n_items, rank) vectors of the scored items.
        item_means: (n_items,) shrunk mean ratings.
        data: scale of the ratings.
    """

    rated: Floats
    items: Floats
    item_means: Floats
    data: RatingScale

    def of_training(self, graph: InteractionGraph) -> Floats:
        """As `Component.of_training`."""
        return self.users(graph.edges, graph.user_attributes)

    def users(self, edges: Edges, attributes: Floats) -> Floats:
        """As `Component.users`; attributes are not used."""
        found = residuals(edges, self.item_means, self.data)
        matrix = rows_of(edges, found, (len(attributes), len(self.items)))
        vectors: Floats = np.asarray(matrix @ self.rated, dtype=np.float32)
        return vectors


def residual_ease(spec: TrainingSpec) -> FeatureEaseFitter | str:
    """Prepare the component, or say why there is none: equal ratings have no residuals."""
    graph, edges = spec.graph, spec.graph.edges
    if not len(edges) or np.ptp(edges.ratings) == 0:
        return "all ratings are equal"
    if why := too_large(graph.n_items, spec):
        return why
    item_means = shrunk_item_means(edges, graph.n_items)
    above = residuals(edges, item_means, spec.data)
    matrix = rows_of(edges, above, (graph.n_users, graph.n_items))
    regression = FeatureEase(matrix=matrix, features=spec.item_text, seed=spec.seed)

    def made(found: Factors) -> ResidualEase:
        return ResidualEase(
            rated=found.rated, items=found.items, item_means=item_means, data=spec.data
        )

    return FeatureEaseFitter(spec=spec, regression=regression, made=made, beside=True)


def shrunk_item_means(edges: Edges, n_items: int) -> Floats:
    """(n_items,) mean rating of each item, shrunk towards the global mean."""
    overall = float(edges.ratings.mean(dtype=np.float64))
    above = np.bincount(edges.items, edges.ratings - overall, minlength=n_items)
    counts = np.bincount(edges.items, minlength=n_items)
    return (overall + above / (counts + _PRIOR)).astype(np.float32)


def residuals(edges: Edges, item_means: Floats, data: RatingScale) -> Floats:
    """(n_edges,) ratings minus item means, in stars."""
    star = (data.rating_max - data.rating_min) / STARS
    found: Floats = (edges.ratings - item_means[edges.items]) / np.float32(star)
    return found
