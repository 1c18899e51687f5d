"""Warm start: where data changed a little, a model goes on from an earlier one's parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl
import torch

from recsys_core.columns import INDEX
from recsys_core.errors import ConfigError
from recsys_core.graph.interaction_graph import Indices, InteractionGraph
from recsys_core.graph.model.gat import GAT

_OF_NODES: Final = "ids"
_OF_ITEMS: Final = "item_bias"
"""Parameters with a row per node or per item; all others are the same for every graph."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """An earlier model.

    Attributes:
        weights: its parameters by name.
        user_ids: (n_users,) ids in the order of its rows.
        item_ids: (n_items,) ids.
    """

    weights: Mapping[str, torch.Tensor]
    user_ids: pl.Series
    item_ids: pl.Series

    @classmethod
    def from_bytes(cls, data: bytes, user_ids: pl.Series, item_ids: pl.Series) -> Self:
        """From a safetensors file of weights."""
        from safetensors.torch import load

        return cls(weights=load(data), user_ids=user_ids, item_ids=item_ids)

    def new_nodes(self, graph: InteractionGraph) -> int:
        """How many nodes of `graph` the earlier model does not know."""
        found = (_places(graph.user_ids, self.user_ids), _places(graph.item_ids, self.item_ids))
        return sum(int((one < 0).sum()) for one in found)


def warm(model: GAT, start: Start, graph: InteractionGraph) -> None:
    """Put the earlier parameters into `model`, rows of nodes by their ids.

    A new node's id vector and bias are zero, so that its profile and its neighbours describe it:
    the directions of a fresh spectral start are not those that the earlier model learned in.

    Raises:
        ConfigError: the earlier model has other parameters, or ids of another type.
    """
    own = model.state_dict()
    _same_shapes(own, start.weights)
    users, items = _places(graph.user_ids, start.user_ids), _places(graph.item_ids, start.item_ids)
    nodes = np.concatenate([users, np.where(items < 0, -1, items + start.user_ids.len())])
    rows = {_OF_NODES: nodes, _OF_ITEMS: items}
    model.load_state_dict(
        {
            name: _gathered(one, rows[name]) if name in rows else one
            for name, one in start.weights.items()
        }
    )


def _gathered(values: torch.Tensor, rows: Indices) -> torch.Tensor:
    """Rows of `values` by number; zeros for -1."""
    places = torch.tensor(rows)
    found = values.index_select(0, places.clamp(min=0))
    found[places < 0] = 0
    return found


def _places(ids: pl.Series, among: pl.Series) -> Indices:
    """Position of each id in `among`, or -1."""
    if ids.dtype != among.dtype:
        raise ConfigError(
            f"The earlier model's ids are {among.dtype}; those of these data are {ids.dtype}.",
            expected="an earlier model of the same data set.",
            fix="leave graph.warm_start_from out.",
        )
    table = pl.DataFrame({among.name: among, INDEX: np.arange(among.len())})
    joined = (
        ids.rename(among.name)
        .to_frame()
        .join(table, on=among.name, how="left", maintain_order="left")
    )
    return joined[INDEX].fill_null(-1).to_numpy().astype(np.int64, copy=False)


def _same_shapes(own: Mapping[str, torch.Tensor], earlier: Mapping[str, torch.Tensor]) -> None:
    def shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
        by_row = (_OF_NODES, _OF_ITEMS)
        return {k: tuple(v.shape[1:] if k in by_row else v.shape) for k, v in weights.items()}

    here, there = shapes(own), shapes(earlier)
    if here != there:
        name = min(k for k in here.keys() | there.keys() if here.get(k) != there.get(k))
        raise ConfigError(
            f"The earlier model does not fit: {name!r} is {there.get(name, 'not there')} in it and"
            f" {here.get(name, 'not there')} here.",
            expected="an earlier model of equal layers, hidden, heads, id_dimensions and loss.",
            fix="train with its configuration, or leave graph.warm_start_from out.",
        )
