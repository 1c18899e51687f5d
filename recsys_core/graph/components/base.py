"""Additive score components: their columns are concatenated to the network's embeddings.

The dot product of the concatenated vectors is the sum of the scores, so that any index of dot
products can serve it.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np

from recsys_core.graph.components.ease import ease_component
from recsys_core.graph.components.residual_ease import residual_ease
from recsys_core.graph.components.temporal_popularity import temporal_popularity
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.graph.training.spec import Fit, TrainingSpec


class Component(Protocol):
    """One additive component, fitted on the training edges of the network."""

    @property
    def items(self) -> Floats:
        """(n_items, d) columns of the items; zeros for an item without information."""

    def users(self, edges: Edges, attributes: Floats) -> Floats:
        """(n_users, d) columns of users, of training or folded in.

        Args:
            edges: their ratings.
            attributes: (n_users, d) user attributes; d may be 0.
        """


COMPONENTS: Final[dict[str, Callable[[TrainingSpec], Component | None]]] = {
    "ease": ease_component,
    "residual_ease": residual_ease,
    "temporal_popularity": temporal_popularity,
}
"""Name -> fits the component; None where its weight is 0 or the data do not allow it."""


def fit_components(spec: TrainingSpec) -> dict[str, Component]:
    """The components that the configuration asks for and the data allow."""
    found = {name: fitted(spec) for name, fitted in COMPONENTS.items()}
    return {name: one for name, one in found.items() if one is not None}


def with_components(
    spec: TrainingSpec, fitted: Fit, components: Sequence[Component]
) -> tuple[Floats, Floats]:
    """Vectors of users and of items: the network's columns, then those of the components."""
    graph = spec.graph
    return (
        with_user_components(fitted.user_vectors, components, graph.edges, graph.user_attributes),
        np.hstack([fitted.item_vectors, *(one.items for one in components)]),
    )


def with_user_components(
    network: Floats, components: Sequence[Component], edges: Edges, attributes: Floats
) -> Floats:
    """The network's vectors (n_users, d) of users, then the components' (`Component.users`)."""
    return np.hstack([network, *(one.users(edges, attributes) for one in components)])
