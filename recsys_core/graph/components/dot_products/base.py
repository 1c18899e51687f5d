"""Additive components that are dot products: the network's columns, then theirs, make a vector.

Their settings and their weights in the sum are chosen on validation (`training.score_sum`), as are
those of the item-to-item maps (`component_table`). A new one is a module and a line in
`COMPONENTS`.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from recsys_core.graph.components.dot_products.ease import ease_component
from recsys_core.graph.components.dot_products.fitter import Component, Fitter
from recsys_core.graph.components.dot_products.lightgcn import lightgcn, needless
from recsys_core.graph.components.dot_products.residual_ease import residual_ease
from recsys_core.graph.components.dot_products.temporal_popularity import temporal_popularity
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.graph.training.spec import TrainingSpec

NETWORK: Final = "network"
"""Name of the network among the components."""


COMPONENTS: Final[dict[str, Callable[[TrainingSpec], Fitter | str]]] = {
    "ease": ease_component,
    "residual_ease": residual_ease,
    "temporal_popularity": temporal_popularity,
    "lightgcn": lightgcn,
}
"""Name -> prepares the component, or says why the data or the effort do not allow it."""
NEEDLESS: Final[dict[str, Callable[[TrainingSpec], str]]] = {"lightgcn": needless}
"""Name -> why the component is not worth its cost on these data, empty where it is. Asked when
components are chosen; one that was chosen is fitted."""


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
