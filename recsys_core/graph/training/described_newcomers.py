"""Users without a history of whom attributes are known: how far popularity ranks for them, too."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from recsys_core.graph.components.histories import InputRows
from recsys_core.graph.components.item_maps import Vectors
from recsys_core.graph.components.item_model import ItemToItemModel
from recsys_core.graph.components.selection.candidate_pool import Target, ndcg_of
from recsys_core.graph.interaction_graph import Floats, Indices

_POPULAR: Final = (0.0, 0.3, 1.0, 3.0, 10.0)
"""Spreads of popularity that are tried beside attributes, relative to the sum's."""


def popularity_beside_attributes(
    vectors: dict[str, Vectors],
    weights: dict[str, float],
    model: ItemToItemModel,
    newcomers: Target,
) -> float:
    """Factor on popularity where users without a history are ranked by their attributes.

    The sum of the network and the components that read attributes ranks for them; without a clock
    it knows nothing of what is popular now. Sums of the two are tried on validation users of that
    kind; the least popularity wins a tie.

    Args:
        vectors: of the network and the dot-product components.
        weights: of these in the sum.
        model: the item-to-item maps, which know what is popular.
        newcomers: validation users without a history.
    """
    named = [name for name in vectors if weights[name]]
    described = Vectors(
        users=np.hstack([np.float32(weights[name]) * vectors[name].users for name in named]),
        items=np.hstack([vectors[name].items for name in named]),
    )
    some = next(iter(newcomers.blocks()))
    spread = float(described.scores(newcomers.rows, some).std())
    popular = float(model.newcomers.std())
    if not popular:
        return 0.0
    factors = [share * (spread or popular) / popular for share in _POPULAR]
    values = [
        ndcg_of(_BesidePopularity(described, np.float32(one) * model.newcomers), newcomers).mean()
        for one in factors
    ]
    return factors[int(np.argmax(values))]


@dataclass(frozen=True)
class _BesidePopularity:
    """A scorer: vectors, and what is popular for everybody."""

    vectors: Vectors
    popular: Floats

    def scores(self, rows: InputRows, users: Indices) -> Floats:
        return self.vectors.scores(rows, users) + self.popular
