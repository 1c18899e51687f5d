"""Additive components that are dot products: the network's columns, then theirs, make a vector.

Their weights in the sum are learned on validation (`training.score_sum`), as are those of the
item-to-item maps (`component_table`). A new one is a module and a line in `COMPONENTS`.
"""

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from recsys_core.graph.components.ease import ease_component
from recsys_core.graph.components.lightgcn import lightgcn
from recsys_core.graph.components.residual_ease import residual_ease
from recsys_core.graph.components.temporal_popularity import temporal_popularity
from recsys_core.graph.interaction_graph import Edges, Floats, InteractionGraph
from recsys_core.graph.training.spec import TrainingSpec

NETWORK: Final = "network"
"""Name of the network among the components."""


class Component(Protocol):
    """One additive component, fitted on the training edges of the network."""

    @property
    def items(self) -> Floats:
        """(n_items, d) columns of the items; zeros for an item without information."""

    def of_training(self, graph: InteractionGraph) -> Floats:
        """(n_users, d) columns of the users of `graph`, which it was fitted on."""

    def users(self, edges: Edges, attributes: Floats) -> Floats:
        """(n_users, d) columns of users who came after training.

        Args:
            edges: their ratings.
            attributes: (n_users, d) user attributes; d may be 0.
        """


COMPONENTS: Final[dict[str, Callable[[TrainingSpec], Component | str]]] = {
    "ease": ease_component,
    "residual_ease": residual_ease,
    "temporal_popularity": temporal_popularity,
    "lightgcn": lightgcn,
}
"""Name -> fits the component, or says why the data do not allow it."""


def with_user_components(
    network: Floats,
    components: dict[str, Component],
    weights: dict[str, float],
    edges: Edges,
    attributes: Floats,
) -> Floats:
    """Vectors (n_users, d) of users who came after training: the network's, then the components'.

    Args:
        network: (n_users, d) the network's vectors, not weighted.
        components: by name, in the order of their columns.
        weights: by name; of the network, too (`NETWORK`).
        edges: the users' ratings.
        attributes: (n_users, d).
    """
    columns = [weights[name] * one.users(edges, attributes) for name, one in components.items()]
    return np.hstack([weights[NETWORK] * network, *columns]).astype(np.float32)
