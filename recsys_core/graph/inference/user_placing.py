"""Fold-in without torch and without the graph: vectors of later users from a few stored arrays.

Messages go from items to new users only, so what the items send in every layer never changes. It is
computed once (`extract.user_placing`); a user then needs the rows of the items that they rated.
The result is that of `fold_in.fold_in_users` to rounding.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recsys_core.errors import ConfigError
from recsys_core.graph.components.dot_products.temporal_popularity import Windows
from recsys_core.graph.components.histories import (
    Histories,
    HistoryInput,
    InputRows,
    UsualRatings,
)
from recsys_core.graph.inference.network_placing import SMALL, LayerMessages, NetworkPlacing
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.interactions.feedback import RatingScale

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class HistoryColumns:
    """Columns that are linear in a history row (EASE, residual EASE), or its direction (LightGCN).

    Attributes:
        input: what the row holds.
        rated: (n_items, d) added per rated item.
        usual: what deviations are measured from; None where the row holds none.
        described: (d_attributes, d) added per attribute; None where none is read.
        length: of the vector, where only its direction counts; None where its length does.
    """

    input: HistoryInput
    rated: Floats
    usual: UsualRatings | None = None
    described: Floats | None = None
    length: float | None = None

    def of(self, histories: Histories, edges: Edges, attributes: Floats) -> Floats:  # noqa: ARG002
        """(n, d) columns of the users of the histories."""
        rows = InputRows(histories=histories, usual=self.usual).matrix(self.input)
        return self.finished(np.asarray(rows @ self.rated, np.float32), attributes)

    def finished(self, found: Floats, attributes: Floats) -> Floats:
        """(n, d) columns of the sums (n, d) over what users rated."""
        if self.described is not None and attributes.shape[1]:
            found = found + attributes @ self.described
        if self.length is not None:
            lengths = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), SMALL)
            found = found / lengths * np.float32(self.length)
        return found


@dataclass(frozen=True, kw_only=True)
class WindowColumns:
    """Shares of a user's ratings in windows of time (temporal popularity)."""

    windows: Windows

    def of(self, histories: Histories, edges: Edges, attributes: Floats) -> Floats:  # noqa: ARG002
        """(n, windows) shares; zeros where no time is known."""
        return self.shares(self.windows.counted(edges.users, edges.times, histories.shape[0]))

    def shares(self, counts: npt.NDArray[np.float64]) -> Floats:
        """(n, windows) of counts."""
        shares: Floats = (counts / np.maximum(counts.sum(1, keepdims=True), 1)).astype(np.float32)
        return shares


@dataclass(frozen=True, kw_only=True)
class UserPlacing:
    """All that placing users takes: the network's part, and the columns of its components.

    Attributes:
        network: the network's part.
        weight: of the network.
        columns: columns of the components with their weights, in the order of the vectors.
    """

    network: NetworkPlacing
    weight: float
    columns: tuple[tuple[float, HistoryColumns | WindowColumns], ...]

    def vectors(
        self, texts: Floats, histories: Histories, edges: Edges, attributes: Floats,
        scale: RatingScale,
    ) -> Floats:  # fmt: skip
        """(n, d) vectors of users who came after training, as `fold_in.fold_in_users` has them.

        Args:
            texts: (n, d_text) vectors of their profiles; zeros where there is none.
            histories: their ratings.
            edges: the same ratings.
            attributes: (n, d_attributes).
            scale: of the ratings.
        """
        network = self.network.vectors(texts, edges, scale)
        parts = [weight * one.of(histories, edges, attributes) for weight, one in self.columns]
        return np.hstack([self.weight * network, *parts]).astype(np.float32)

    @property
    def text_width(self) -> int:
        """Numbers of a profile's text vector."""
        return int(self.network.projection.shape[1])

    def to_bytes(self) -> bytes:
        """As a safetensors file; what is no array stands as JSON in its header."""
        from safetensors.numpy import save

        arrays: dict[str, npt.NDArray[Any]] = {}
        told = {
            "settings": dict(self.network.settings), "layers": len(self.network.layers),
            "weight": self.weight,
            "columns": [
                _tell(arrays, f"columns.{at}", *one) for at, one in enumerate(self.columns)
            ],
        }  # fmt: skip
        _keep(arrays, "network", self.network, ("projection", "offset", "item_degrees", "evidence"))
        for at, layer in enumerate(self.network.layers):
            _keep(arrays, f"layers.{at}", layer, _LAYER)
        whole = {name: np.ascontiguousarray(one) for name, one in arrays.items()}
        data: bytes = save(whole, metadata={_FACTS: json.dumps(told)})
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> "UserPlacing":
        """What `to_bytes` wrote.

        Raises:
            ConfigError: it is of another form.
        """
        from safetensors.numpy import load

        try:
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            told, arrays = json.loads(header["__metadata__"][_FACTS]), load(data)
            network = NetworkPlacing(
                layers=tuple(
                    LayerMessages(**_kept(arrays, f"layers.{at}", _LAYER))
                    for at in range(told["layers"])
                ),
                settings=told["settings"],
                **_kept(arrays, "network", ("projection", "offset", "item_degrees", "evidence")),
            )
            columns = tuple(
                (float(one["weight"]), _told(arrays, f"columns.{at}", one))
                for at, one in enumerate(told["columns"])
            )
            return cls(network=network, weight=float(told["weight"]), columns=columns)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"The arrays that users are placed by cannot be read: {error!r}",
                expected="the file that this version's training step wrote.",
                fix="train again, or use the version that wrote it.",
            ) from error


_FACTS: Final = "placing"
_LAYER: Final = ("sent", "source_scores", "target", "level", "transform", "norm")
_COLUMNS: Final = ("rated", "described")


def _keep(
    arrays: dict[str, npt.NDArray[Any]], prefix: str, one: object, names: tuple[str, ...]
) -> None:
    found = {f"{prefix}.{name}": getattr(one, name) for name in names}
    arrays |= {name: value for name, value in found.items() if value is not None}


def _kept(arrays: Arrays, prefix: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: arrays.get(f"{prefix}.{name}") for name in names}


def _tell(
    arrays: dict[str, npt.NDArray[Any]],
    prefix: str,
    weight: float,
    one: HistoryColumns | WindowColumns,
) -> dict[str, Any]:
    if isinstance(one, WindowColumns):
        windows = one.windows
        return {
            "weight": weight,
            "windows": {"start": windows.start, "width": windows.width, "count": windows.count},
        }
    _keep(arrays, prefix, one, _COLUMNS)
    told = {"weight": weight, "input": one.input.name, "length": one.length}
    if one.usual is not None:
        arrays[f"{prefix}.usual"] = one.usual.values
        told["spread"] = one.usual.spread
    return told


def _told(arrays: Arrays, prefix: str, one: Mapping[str, Any]) -> HistoryColumns | WindowColumns:
    if "windows" in one:
        return WindowColumns(windows=Windows(**one["windows"]))
    usual = arrays.get(f"{prefix}.usual")
    return HistoryColumns(
        input=HistoryInput.named(one["input"]),
        length=one["length"],
        usual=None if usual is None else UsualRatings(values=usual, spread=one["spread"]),
        **_kept(arrays, prefix, _COLUMNS),
    )
