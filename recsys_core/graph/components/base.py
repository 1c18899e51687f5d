"""What stands beside the network in the same dot product.

Each part knows something that the network does not, and says it in a few columns appended to the
network's vectors: the score is the sum, and an index can go on serving dot products.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np

from recsys_core.graph.components.ease import item_to_item
from recsys_core.graph.components.residual_ease import rating_deviations
from recsys_core.graph.components.temporal_lift import time_lift
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.graph.training.spec import Fit, Task


class Beside(Protocol):
    """One part, fitted on the edges that the network was fitted on."""

    @property
    def items(self) -> Floats:
        """(n_items, d) columns of the items; zeros for an item of which it knows nothing."""

    def users(self, edges: Edges, attributes: Floats) -> Floats:
        """(n_users, d) columns of users, of training or not.

        Args:
            edges: what they have rated.
            attributes: (n_users, d) what is known of them beside that; d may be 0.
        """


PARTS: Final[dict[str, Callable[[Task], Beside | None]]] = {
    "item_to_item": item_to_item,
    "rating_deviations": rating_deviations,
    "time_lift": time_lift,
}
"""By the field of `GraphConfig` that asks for it. A part is None where it is not wanted, or where
the data do not allow it."""


def parts_of(task: Task) -> dict[str, Beside]:
    """The parts that the configuration asks for and the data allow."""
    found = {name: fitted(task) for name, fitted in PARTS.items()}
    return {name: part for name, part in found.items() if part is not None}


def with_parts(task: Task, fitted: Fit, parts: Sequence[Beside]) -> tuple[Floats, Floats]:
    """Vectors of users and of items: the network's, then those of the parts."""
    graph = task.graph
    return (
        with_users(fitted.user_vectors, parts, graph.edges, graph.known_of_users),
        np.hstack([fitted.item_vectors, *(part.items for part in parts)]),
    )


def with_users(
    network: Floats, parts: Sequence[Beside], edges: Edges, attributes: Floats
) -> Floats:
    """The network's vectors (n_users, d) of users, then the parts' (`Beside.users`)."""
    return np.hstack([network, *(part.users(edges, attributes) for part in parts)])
