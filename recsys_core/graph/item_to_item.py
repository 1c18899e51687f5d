"""What goes together with what a user liked, beside the network, in the same dot product.

The network and EASE err differently, and the sum of their scores is better than either. So a few
columns of an item-to-item regression (`regression`) on rating weights are appended to the network's
vectors.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from recsys_core.config import DataConfig, GraphConfig
from recsys_core.graph.bipartite import Edges, Floats
from recsys_core.graph.objective import target_weights
from recsys_core.graph.regression import regressed, rows_of
from recsys_core.graph.runs import runs
from recsys_core.graph.task import Task

RANK: Final = 192
"""Directions that are kept."""


@dataclass(frozen=True, kw_only=True)
class ItemToItem:
    """The regression as a dot product.

    Attributes:
        rated: (n_items, rank) what an item that a user rated adds to the user's vector.
        items: (n_items, rank) vector of an item that is scored.
        config: weights of ratings.
        data: thresholds of ratings.
    """

    rated: Floats
    items: Floats
    config: GraphConfig
    data: DataConfig

    def users(self, edges: Edges, n_users: int) -> Floats:
        """Vectors (n_users, rank) of users who have rated `edges`."""
        weights = target_weights(edges.ratings, self.config, self.data)
        matrix = rows_of(edges, weights, (n_users, len(self.items)))
        vectors: Floats = np.asarray(matrix @ self.rated, dtype=np.float32)
        return vectors


def item_to_item(task: Task) -> ItemToItem | None:
    """Fit the regression; None where it is not wanted, or `regressed` has none."""
    graph, factor = task.graph, task.config.item_to_item
    if not factor:
        return None
    weights = target_weights(graph.edges.ratings, task.config, task.data)
    found = regressed(
        rows_of(graph.edges, weights, (graph.n_users, graph.n_items)),
        task.item_text,
        rank=RANK,
        seed=task.seed,
        also=runs(graph.edges, weights, graph.n_items),
    )
    if found is None:
        return None
    rated, items = found
    return ItemToItem(
        rated=(factor * rated).astype(np.float32), items=items, config=task.config, data=task.data
    )
