"""Warm start: where data changed a little, a model goes on from an earlier one's parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from recsys_core.columns import INDEX
from recsys_core.errors import ConfigError
from recsys_core.graph.interaction_graph import Floats, Indices, InteractionGraph
from recsys_core.graph.model.gat import GAT

Doubles = npt.NDArray[np.float64]

LIGHTGCN_BASE: Final = "lightgcn.base"
"""Among the parameters: those of the LightGCN component, a row per node; named as in the file of
the components."""
_OF_NODES: Final = "ids"
_OF_ITEMS: Final = "item_bias"
"""Parameters with a row per node or per item; all others are the same for every graph."""
_OF_TEXT: Final = ("item_projection.weight", "popularity.weight")
"""Parameters with a column per item feature."""
_RIDGE: Final = 1e-3
"""Penalty of the regression that carries these over to other features; their rows have length 1
or less."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """An earlier model.

    Attributes:
        weights: its parameters by name.
        user_ids: (n_users,) ids in the order of its rows.
        item_ids: (n_items,) ids.
        item_text: (n_items, d_text) the item features that it was trained with; None for those of
            today, which are then as many.
        forgotten: ids of users whose own parameters are not taken over: what they are known by has
            become held out since.
        share: part of a full training that goes on from here, for what counts its steps itself.
    """

    weights: Mapping[str, torch.Tensor]
    user_ids: pl.Series
    item_ids: pl.Series
    item_text: Floats | None = None
    forgotten: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.Null))
    share: float = 1.0

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        components: bytes,
        user_ids: pl.Series,
        item_ids: pl.Series,
        *,
        item_text: Floats | None = None,
        forgotten: pl.Series | None = None,
        share: float = 1.0,
    ) -> Self:
        """From the files of the network's parameters and of the components."""
        from safetensors.torch import load

        others = load(components)
        light = {LIGHTGCN_BASE: others[LIGHTGCN_BASE]} if LIGHTGCN_BASE in others else {}
        gone = user_ids.clear() if forgotten is None else forgotten
        return cls(
            weights=load(data) | light, user_ids=user_ids, item_ids=item_ids, item_text=item_text,
            forgotten=gone, share=share,
        )  # fmt: skip

    @property
    def network(self) -> dict[str, torch.Tensor]:
        """The parameters of the graph attention network."""
        return {name: one for name, one in self.weights.items() if name != LIGHTGCN_BASE}

    def new_nodes(self, graph: InteractionGraph) -> int:
        """How many nodes of `graph` start without parameters of their own."""
        return int((self.nodes(graph) < 0).sum())

    def nodes(self, graph: InteractionGraph) -> Indices:
        """(n_users + n_items,) row of each node of `graph` in this model, or -1."""
        users = _places(graph.user_ids, self.user_ids)
        if self.forgotten.len():
            users[graph.user_ids.is_in(self.forgotten.implode()).to_numpy()] = -1
        items = self.items(graph)
        return np.concatenate([users, np.where(items < 0, -1, items + self.user_ids.len())])

    def items(self, graph: InteractionGraph) -> Indices:
        """(n_items,) row of each item of `graph` among this model's, or -1."""
        return _places(graph.item_ids, self.item_ids)

    def lightgcn(self, graph: InteractionGraph) -> torch.Tensor | None:
        """(n_nodes, d) parameters of LightGCN, zeros for new nodes; None where it had none."""
        found = self.weights.get(LIGHTGCN_BASE)
        return None if found is None else _gathered(found, self.nodes(graph))


def warm(model: GAT, start: Start, graph: InteractionGraph, item_text: Floats) -> None:
    """Put the earlier parameters into `model`, rows of nodes by their ids.

    A new node's id vector and bias are zero, so that its profile and its neighbours describe it:
    the directions of a fresh spectral start are not those that the earlier model learned in.

    Args:
        model: takes the parameters.
        start: the earlier model.
        graph: the nodes of `model`.
        item_text: (n_items, d_text) its item features. Where they are others than the earlier
            ones (words and labels are numbered by what the catalogue holds), what the earlier
            model read from the old ones is learned anew from these, by ridge regression over the
            items that both know.

    Raises:
        ConfigError: the earlier model has other parameters, or ids of another type.
    """
    items = start.items(graph)
    weights = _for_features(start, items, item_text)
    _same_shapes(model.state_dict(), weights)
    rows = {_OF_NODES: start.nodes(graph), _OF_ITEMS: items}
    model.load_state_dict(
        {name: _gathered(one, rows[name]) if name in rows else one for name, one in weights.items()}
    )


def _for_features(start: Start, items: Indices, item_text: Floats) -> dict[str, torch.Tensor]:
    """The network's parameters, those with a column per item feature for today's features."""
    weights, both = start.network, items >= 0
    if start.item_text is None or not both.any():
        return weights
    old, new = start.item_text[items[both]], item_text[both]
    if old.shape == new.shape and np.array_equal(old, new):
        return weights
    inputs = new.astype(np.float64)
    for name in (one for one in _OF_TEXT if one in weights):
        known = weights[name].numpy().astype(np.float64)
        # Towards the old parameters where there are as many columns, else towards nothing.
        base = known if old.shape[1] == new.shape[1] else np.zeros((len(known), new.shape[1]))
        missed = old.astype(np.float64) @ known.T - inputs @ base.T
        weights[name] = torch.from_numpy((base + _ridge(inputs, missed).T).astype(np.float32))
    return weights


def _ridge(inputs: Doubles, wanted: Doubles) -> Doubles:
    """(d, h) coefficients from inputs (n, d) to (n, h), solved on the smaller side."""
    from threadpoolctl import threadpool_limits

    n_rows, n_columns = inputs.shape
    # One thread: with several, the last bits depend on how many there are.
    with threadpool_limits(1):
        if n_rows < n_columns:
            gram = inputs @ inputs.T + _RIDGE * np.eye(n_rows)
            found: Doubles = inputs.T @ np.linalg.solve(gram, wanted)
        else:
            gram = inputs.T @ inputs + _RIDGE * np.eye(n_columns)
            found = np.asarray(np.linalg.solve(gram, inputs.T @ wanted), np.float64)
    return found


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
    return joined[INDEX].fill_null(-1).to_numpy().astype(np.int64)


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
