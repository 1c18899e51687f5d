"""What goes together with what a user liked, and is, beside the network, in the same dot product.

The network and EASE err differently, and the sum of their scores is better than either. So a few
columns of an item-to-item regression (`regression`) on rating weights are appended to the network's
vectors. What is known of a user beside the ratings stands among the items there, as if the user had
rated their age, too.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from recsys_core.graph.components.feature_ease import regressed, rows_of
from recsys_core.graph.components.rating_sessions import runs
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import Edges, Floats, no_attributes
from recsys_core.graph.training.objective import target_weights
from recsys_core.graph.training.spec import Task
from recsys_core.interactions.feedback import RatingScale

RANK: Final = 320
"""Directions that are kept."""


@dataclass(frozen=True, kw_only=True)
class ItemToItem:
    """The regression as a dot product.

    Attributes:
        rated: (n_items, rank) what an item that a user rated adds to the user's vector.
        described: (d, rank) what each attribute adds to it.
        items: (n_items, rank) vector of an item that is scored.
        config: weights of ratings.
        data: thresholds of ratings.
    """

    rated: Floats
    described: Floats
    items: Floats
    config: GraphConfig
    data: RatingScale

    def users(self, edges: Edges, attributes: Floats) -> Floats:
        """As `Beside.users`."""
        weights = target_weights(edges.ratings, self.config, self.data)
        matrix = rows_of(edges, weights, (len(attributes), len(self.items)))
        vectors: Floats = np.asarray(matrix @ self.rated, dtype=np.float32)
        if attributes.shape[1] and len(self.described):
            vectors += attributes @ self.described
        return vectors


def item_to_item(task: Task) -> ItemToItem | None:
    """Fit the regression; None where it is not wanted, or `regressed` has none."""
    graph, factor = task.graph, task.config.item_to_item
    if not factor:
        return None
    weights = target_weights(graph.edges.ratings, task.config, task.data)
    likes = rows_of(graph.edges, weights, (graph.n_users, graph.n_items))
    known = _attributes(task)
    rows = sparse.hstack([likes, sparse.csr_matrix(known)], format="csr")
    found = regressed(
        rows,
        task.item_text,
        rank=RANK,
        seed=task.seed,
        also=runs(graph.edges, weights, rows.shape[1]),
    )
    if found is None:
        return None
    slopes, items = found
    adds = (factor * slopes).astype(np.float32)
    return ItemToItem(
        rated=adds[: graph.n_items],
        described=np.float32(task.config.user_attributes) * adds[graph.n_items :],
        items=items,
        config=task.config,
        data=task.data,
    )


def _attributes(task: Task) -> Floats:
    """(n_users, d) what is known of the users, as heavy as it counts; d is 0 where nothing does."""
    weight = task.config.user_attributes
    if not weight:
        return no_attributes(task.graph.n_users)
    return np.float32(weight) * task.graph.known_of_users
