"""What later users are placed by (`user_placing`), taken out of a trained model."""

from typing import Final

import numpy as np
import torch

from recsys_core.errors import ConfigError
from recsys_core.graph.components.dot_products.base import NETWORK
from recsys_core.graph.components.dot_products.ease import EaseComponent
from recsys_core.graph.components.dot_products.fitter import Component
from recsys_core.graph.components.dot_products.lightgcn import LightGcn
from recsys_core.graph.components.dot_products.residual_ease import STARS, ResidualEase
from recsys_core.graph.components.dot_products.temporal_popularity import TemporalPopularity
from recsys_core.graph.components.histories import HistoryInput, UsualRatings
from recsys_core.graph.inference.fold_in import FittedModel
from recsys_core.graph.inference.layerwise import layer_states
from recsys_core.graph.inference.network_fold_in import network_model, training_messages
from recsys_core.graph.inference.network_placing import LayerMessages, NetworkPlacing
from recsys_core.graph.inference.user_placing import HistoryColumns, UserPlacing, WindowColumns
from recsys_core.graph.interaction_graph import Floats
from recsys_core.graph.model.attention_layer import AttentionLayer
from recsys_core.graph.model.gat import GAT
from recsys_core.graph.model.message_passing import choose_backend

_SETTINGS: Final = (
    "edges", "loss", "user_text_scale", "user_text_half_life", "layer_combination", "temperature",
    "symmetric_normalization",
)  # fmt: skip
_AT_ONCE: Final = 4_000_000
"""Edges at a time."""


def user_placing(fitted: FittedModel) -> UserPlacing:
    """Run the trained network once, and take its components along."""
    served = fitted.served
    return UserPlacing(
        network=network_placing(fitted),
        weight=served.weights[NETWORK],
        columns=tuple(
            (served.weights[name], columns_of(one)) for name, one in served.components.items()
        ),
    )


def columns_of(component: Component) -> HistoryColumns | WindowColumns:
    """How a component places users.

    Raises:
        ConfigError: nobody said how for this kind of component.
    """
    match component:
        case EaseComponent():
            described = component.described if len(component.described) else None
            return HistoryColumns(input=HistoryInput(), rated=component.rated, described=described)
        case ResidualEase():
            star = (component.data.rating_max - component.data.rating_min) / STARS
            usual = UsualRatings(values=component.item_means, spread=star)
            return HistoryColumns(
                input=HistoryInput(kind="deviations"), rated=component.rated, usual=usual
            )
        case LightGcn():
            return HistoryColumns(
                input=HistoryInput(decay=component.decay or 1.0), rated=component.messages,
                length=1 / component.temperature,
            )  # fmt: skip
        case TemporalPopularity():
            return WindowColumns(windows=component.windows)
        case _:
            raise ConfigError(
                f"{type(component).__name__} does not say how later users are placed by it.",
                expected="a component of `components.base.COMPONENTS`.",
                fix="add a case to `inference.extract.columns_of`.",
            )


def network_placing(fitted: FittedModel) -> NetworkPlacing:
    """Run the trained network once, and keep what its items send in every layer."""
    none = np.zeros((0, fitted.user_text.shape[1]), np.float32)
    model: GAT = network_model(fitted, none).eval()
    adjacency, levels = training_messages(fitted)
    backend = choose_backend(fitted.config.backend, torch.device("cpu"))
    first = fitted.graph.n_users
    with torch.no_grad():
        states = layer_states(model, adjacency, levels, backend, _AT_ONCE)
        layers = tuple(
            _layer(layer, state, first)
            for layer, state in zip(model.layers, states, strict=False)  # the last sends nothing
        )
    config = fitted.config.model_dump()
    return NetworkPlacing(
        projection=_array(model.user_projection.weight),
        offset=_array(model.user_projection.bias),
        layers=layers,
        item_degrees=_array(adjacency.degrees[first:]).astype(np.float32),
        evidence=None if model.evidence is None else _array(model.evidence),
        settings={name: config[name] for name in _SETTINGS},
    )


def _layer(layer: torch.nn.Module, state: torch.Tensor, first: int) -> LayerMessages:
    """What items, which are numbered from `first` on, send in a layer."""
    assert isinstance(layer, AttentionLayer)  # noqa: S101 - a ModuleList forgets the type
    sent = layer.sent(state[first:])
    norm = None
    if layer.norm is not None:
        norm = np.stack([_array(layer.norm.weight), _array(layer.norm.bias)])
    return LayerMessages(
        sent=_array(sent), source_scores=_array((sent * layer.source).sum(-1)),
        target=_array(layer.target), level=_array(layer.level), norm=norm,
        transform=None if layer.transform is None else _array(layer.transform.weight),
    )  # fmt: skip


def _array(tensor: torch.Tensor) -> Floats:
    found: Floats = tensor.detach().float().cpu().numpy()
    return found
