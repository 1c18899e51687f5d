"""Users without a history of whom attributes are known: what ranks for them, beside popularity."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from recsys_core.graph.components.dot_products.base import NETWORK
from recsys_core.graph.components.histories import InputRows
from recsys_core.graph.components.item_maps import Vectors
from recsys_core.graph.components.item_model import ItemToItemModel
from recsys_core.graph.components.selection.candidate_pool import Target, ndcg_of
from recsys_core.graph.interaction_graph import Floats, Indices

_POPULAR: Final = (0.0, 0.3, 1.0, 3.0, 10.0)
"""Spreads of popularity that are tried beside attributes, relative to the sum's."""
_LOUDEST: Final = (5.0, 2.0, 1.0, 0.5, 0.2)
"""Spreads of EASE's scores that are tried, relative to the network's, the largest first."""


def popularity_beside_attributes(
    vectors: dict[str, Vectors],
    weights: dict[str, float],
    model: ItemToItemModel,
    newcomers: Target,
) -> float:
    """Factor on popularity where users without a history are ranked by their attributes.

    The sum of the network and the components that read attributes ranks for them; without a clock
    it knows nothing of what is popular now. Sums of the two are tried on validation users of that
    kind; what they gain must exceed its standard error, else popularity stays out.

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
        ndcg_of(_BesidePopularity(described, np.float32(one) * model.newcomers), newcomers)
        for one in factors
    ]
    best = int(np.argmax([one.mean() for one in values]))
    gains = values[best] - values[0]
    error = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else np.inf
    return factors[best] if gains.mean() > error else 0.0


def weight_of_attributes(
    vectors: dict[str, Vectors],
    weights: dict[str, float],
    least: dict[str, float],
    model: ItemToItemModel,
    target: Target | None,
) -> float:
    """Weight of EASE, which alone reads attributes, where the sum gave it none.

    Users without ratings would be ranked by the network, which knows nothing of them: alike. So
    EASE gets the largest weight that validation users do not mind: their mean loss stays within
    its standard error.

    Args:
        vectors: of the network and the dot-product components.
        weights: of these in the sum; `ease` has none.
        least: weights with which the scores of each spread equally, too little to move others.
        model: the item-to-item maps.
        target: validation users; None where there are none.
    """
    smallest = _LOUDEST[0] * least["ease"]
    if target is None:
        return smallest

    def ndcg(weight: float) -> npt.NDArray[np.float64]:
        return ndcg_of(WeightedSum(vectors, weights | {"ease": weight}, model), target)

    level = weights[NETWORK] / least[NETWORK] * least["ease"]
    before = ndcg(smallest)
    for share in _LOUDEST:
        change = ndcg(share * level) - before
        if change.mean() >= -change.std() / max(len(change) - 1, 1) ** 0.5:
            return max(share * level, smallest)
    return smallest


@dataclass(frozen=True)
class WeightedSum:
    """A scorer: the maps and the vectors, as they stand in the sum."""

    vectors: dict[str, Vectors]
    weights: dict[str, float]
    model: ItemToItemModel

    def scores(self, rows: InputRows, users: Indices) -> Floats:
        """(b, n_items) of some users (b,)."""
        total = self.model.scores(rows, users)
        for name, one in self.vectors.items():
            if self.weights[name]:
                total += np.float32(self.weights[name]) * one.scores(rows, users)
        return total


@dataclass(frozen=True)
class _BesidePopularity:
    """A scorer: vectors, and what is popular for everybody."""

    vectors: Vectors
    popular: Floats

    def scores(self, rows: InputRows, users: Indices) -> Floats:
        return self.vectors.scores(rows, users) + self.popular
