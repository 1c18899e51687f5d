"""Who rates what is alike better than others do, beside the network, in the same dot product.

The other parts learn from what users chose; how good it was for them is a like or none. Here a
rating is what it deviates from the item's usual one by, and the deviations of every item are
regressed on those of all others (`regression`), as likes are in `item_to_item`.

Source: the idea is that of Koren, "Factorization Meets the Neighborhood" (KDD 2008), who regresses
ratings less a baseline on one another, there by gradient descent.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from recsys_core.graph.components.feature_ease import regressed, rows_of
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.graph.training.spec import Task
from recsys_core.interactions.feedback import RatingScale

RANK: Final = 64
"""Directions that are kept."""
_PRIOR: Final = 5.0
"""Ratings of the mean over all that every item has in advance: a rare one is a usual one."""
_STARS: Final = 4.0
"""Width of the scale on which deviations are counted, from worst to best: that of five stars."""


@dataclass(frozen=True, kw_only=True)
class RatingDeviations:
    """The regression as a dot product.

    Attributes:
        rated: (n_items, rank) what a deviation by one star adds to the user's vector.
        items: (n_items, rank) vector of an item that is scored.
        usual: (n_items,) what an item is rated as a rule.
        data: scale of the ratings.
    """

    rated: Floats
    items: Floats
    usual: Floats
    data: RatingScale

    def users(self, edges: Edges, attributes: Floats) -> Floats:
        """As `Beside.users`; what the attributes are makes no difference."""
        deviations = _deviations(edges, self.usual, self.data)
        matrix = rows_of(edges, deviations, (len(attributes), len(self.items)))
        vectors: Floats = np.asarray(matrix @ self.rated, dtype=np.float32)
        return vectors


def rating_deviations(task: Task) -> RatingDeviations | None:
    """Fit the regression; None where it is not wanted, `regressed` has none, or ratings are alike.

    Where all that is known is that users took something, there is nothing to deviate from.
    """
    graph, edges, factor = task.graph, task.graph.edges, task.config.rating_deviations
    if not factor or not len(edges) or np.ptp(edges.ratings) == 0:
        return None
    usual = usual_ratings(edges, graph.n_items)
    deviations = _deviations(edges, usual, task.data)
    matrix = rows_of(edges, deviations, (graph.n_users, graph.n_items))
    found = regressed(matrix, task.item_text, rank=RANK, seed=task.seed)
    if found is None:
        return None
    rated, items = found
    return RatingDeviations(
        rated=(factor * rated).astype(np.float32), items=items, usual=usual, data=task.data
    )


def usual_ratings(edges: Edges, n_items: int) -> Floats:
    """(n_items,) mean rating of each item, drawn towards the mean of all."""
    overall = float(edges.ratings.mean(dtype=np.float64))
    above = np.bincount(edges.items, edges.ratings - overall, minlength=n_items)
    counts = np.bincount(edges.items, minlength=n_items)
    return (overall + above / (counts + _PRIOR)).astype(np.float32)


def _deviations(edges: Edges, usual: Floats, data: RatingScale) -> Floats:
    """(n_edges,) how far ratings lie above the usual ones, in stars."""
    star = (data.rating_max - data.rating_min) / _STARS
    deviations: Floats = (edges.ratings - usual[edges.items]) / np.float32(star)
    return deviations
