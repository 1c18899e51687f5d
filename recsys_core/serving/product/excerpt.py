"""An excerpt of a model for one user: what few rated items add to the scores of few items.

Taking each of a user's ratings away scores hundreds of histories, of which a list of ten reads ten
columns: over all items that takes most of a request's time.
"""

from dataclasses import replace

import numpy as np

from recsys_core.graph.components.histories import UsualRatings
from recsys_core.graph.components.item_model import ItemToItemModel
from recsys_core.graph.inference.network_placing import LayerMessages, NetworkPlacing
from recsys_core.graph.inference.user_placing import HistoryColumns, UserPlacing
from recsys_core.graph.interaction_graph import Indices
from recsys_core.serving.product.scoring import Scoring


def excerpt(scoring: Scoring, rated: Indices, scored: Indices) -> tuple[Scoring, Indices]:
    """The same scores, for users who rated some of the items, of some items.

    Args:
        scoring: of all items.
        rated: (n,) the items, each once, that users may have rated: number 0 .. n - 1 there.
        scored: (m,) the items whose scores are wanted, new ones among them.

    Returns:
        The excerpt, and the columns (m,) of its scores that are those of `scored`.
    """
    n_items = len(scoring.item_vectors)
    is_new = scored >= n_items
    mix, needed = scoring.mix, scored[~is_new]
    if mix is not None:
        rows = mix[scored[is_new] - n_items]
        needed = np.unique(np.concatenate([needed, rows.indices]))
        mix = rows[:, needed] if is_new.any() else None
    columns = np.empty(len(scored), np.int64)
    columns[~is_new] = (
        np.searchsorted(needed, scored[~is_new])
        if scoring.mix is not None
        else np.arange(len(needed))
    )
    columns[is_new] = len(needed) + np.arange(int(is_new.sum()))
    item_model = scoring.item_model
    return (
        replace(
            scoring, item_vectors=scoring.item_vectors[needed], mix=mix,
            item_model=None if item_model is None else _item_model(item_model, rated, needed),
            placing=_placing(scoring.placing, rated),
        ),
        columns,
    )  # fmt: skip


def _item_model(model: ItemToItemModel, rated: Indices, scored: Indices) -> ItemToItemModel:
    return replace(
        model,
        maps={one: weights[rated][:, scored] for one, weights in model.maps.items()},
        low_rank={one: (mine[rated], theirs[scored]) for one, (mine, theirs) in
                  model.low_rank.items()},
        prior=model.prior[scored], newcomers=model.newcomers[scored],
        usual=_usual(model.usual, rated),
    )  # fmt: skip


def _placing(placing: UserPlacing, rated: Indices) -> UserPlacing:
    return replace(
        placing,
        network=_network(placing.network, rated),
        columns=tuple(
            (weight, _columns(one, rated) if isinstance(one, HistoryColumns) else one)
            for weight, one in placing.columns
        ),
    )


def _network(network: NetworkPlacing, rated: Indices) -> NetworkPlacing:
    return replace(
        network, layers=tuple(_layer(one, rated) for one in network.layers),
        item_degrees=network.item_degrees[rated],
    )  # fmt: skip


def _layer(layer: LayerMessages, rated: Indices) -> LayerMessages:
    return replace(layer, sent=layer.sent[rated], source_scores=layer.source_scores[rated])


def _columns(columns: HistoryColumns, rated: Indices) -> HistoryColumns:
    return replace(columns, rated=columns.rated[rated], usual=_usual(columns.usual, rated))


def _usual(usual: UsualRatings | None, rated: Indices) -> UsualRatings | None:
    return None if usual is None else replace(usual, values=usual.values[rated])
