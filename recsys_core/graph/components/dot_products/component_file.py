"""The dot-product components of a served sum as a safetensors file, for placing later users.

The vectors of users and items lie in tables of their own; here is what makes a user's columns of
them: what an item in the history adds, what attributes add, windows of time.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from recsys_core.errors import DataError
from recsys_core.graph.components.dot_products.base import NETWORK
from recsys_core.graph.components.dot_products.ease import EaseComponent
from recsys_core.graph.components.dot_products.fitter import Component
from recsys_core.graph.components.dot_products.lightgcn import LightGcn
from recsys_core.graph.components.dot_products.residual_ease import ResidualEase
from recsys_core.graph.components.dot_products.temporal_popularity import (
    TemporalPopularity,
    Windows,
)
from recsys_core.graph.components.item_model import ItemToItemModel
from recsys_core.graph.config import TrainingConfig
from recsys_core.graph.interaction_graph import Floats
from recsys_core.interactions.feedback import RatingScale

if TYPE_CHECKING:
    from recsys_core.graph.training.score_sum import ScoreSum

CLASSES: Final[Mapping[str, type[Any]]] = {
    "ease": EaseComponent,
    "residual_ease": ResidualEase,
    "temporal_popularity": TemporalPopularity,
    "lightgcn": LightGcn,
}
"""What each component of `base.COMPONENTS` is."""
_COLUMNS: Final = frozenset({"items", "trained"})
"""Parameters that are columns of the tables of vectors."""
_SETTINGS: Final = frozenset({"config", "data"})
"""Parameters that the model's configuration holds."""
_WINDOWS: Final = "windows"
_LAYOUT: Final = "layout"


def components_to_bytes(served: "ScoreSum") -> bytes:
    """The components of a sum, their weights and their places among the columns."""
    from safetensors.numpy import save

    arrays: dict[str, Floats] = {}
    layout: dict[str, Any] = {}
    for name, one in served.components.items():
        plain: dict[str, Any] = {"width": one.items.shape[1]}
        for parameter in _own_parameters(one):
            value = getattr(one, parameter)
            if isinstance(value, np.ndarray):
                arrays[f"{name}.{parameter}"] = np.ascontiguousarray(value, np.float32)
            elif isinstance(value, Windows):
                plain[parameter] = [value.start, value.width, value.count]
            else:
                plain[parameter] = value
        layout[name] = plain
    described = {"weights": served.weights, "components": layout}
    data: bytes = save(arrays, metadata={_LAYOUT: json.dumps(described)})
    return data


def sum_from_bytes(
    data: bytes,
    *,
    user_vectors: Floats,
    item_vectors: Floats,
    item_model: ItemToItemModel | None,
    config: TrainingConfig,
    scale: RatingScale,
) -> "ScoreSum":
    """The sum that `components_to_bytes` was given.

    Args:
        data: the file.
        user_vectors: (n_users, d) weighted columns of the network, then of the components.
        item_vectors: (n_items, d).
        item_model: the item-to-item maps.
        config: what the model was trained with.
        scale: thresholds of its ratings.

    Raises:
        DataError: the file holds no such components, or others than the vectors have columns for.
    """
    from safetensors.numpy import load

    from recsys_core.graph.training.score_sum import ScoreSum

    arrays: dict[str, Floats] = load(data)
    described = _described(data)
    weights: dict[str, float] = described["weights"]
    end = item_vectors.shape[1]
    first = end - sum(one["width"] for one in described["components"].values())
    if first < 0:
        raise DataError(
            f"The components have {end - first} columns and the vectors {end}.",
            expected="vectors and components of one training.",
            fix="read both from the same artifact.",
        )
    components: dict[str, Component] = {}
    for name, plain in described["components"].items():
        here = slice(first, first + plain.pop("width"))
        given: dict[str, Any] = {"items": np.ascontiguousarray(item_vectors[:, here])}
        given["trained"] = user_vectors[:, here] / np.float32(weights[name])
        given |= {"config": config, "data": scale} | plain
        if _WINDOWS in plain:
            start, width, count = plain[_WINDOWS]
            given[_WINDOWS] = Windows(start=start, width=width, count=count)
        given |= {key.removeprefix(f"{name}."): value for key, value in arrays.items()
                  if key.startswith(f"{name}.")}  # fmt: skip
        made = CLASSES[name]
        components[name] = made(**{one.name: given[one.name] for one in fields(made)})
        first = here.stop
    return ScoreSum(
        user_vectors=user_vectors, item_vectors=item_vectors, components=components,
        weights={one: weights[one] for one in (NETWORK, *components)}, item_model=item_model,
    )  # fmt: skip


def _own_parameters(component: Any) -> list[str]:
    names = [one.name for one in fields(component)]
    return [one for one in names if one not in _COLUMNS | _SETTINGS]


def _described(data: bytes) -> dict[str, Any]:
    """The header of a safetensors file begins with its length, 8 bytes, and is JSON."""
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    if _LAYOUT not in header.get("__metadata__", {}):
        raise DataError(
            "The file of components does not say which they are.",
            expected="a file that a training wrote.",
            fix="train again with this version.",
        )
    described: dict[str, Any] = json.loads(header["__metadata__"][_LAYOUT])
    return described
