"""What later users are placed by (`user_placing`), taken out of a trained model."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from recsys_core.errors import ConfigError
from recsys_core.graph.components.base import NETWORK, Component
from recsys_core.graph.components.ease import EaseComponent
from recsys_core.graph.components.histories import HistoryInput, UsualRatings
from recsys_core.graph.components.lightgcn import LightGcn
from recsys_core.graph.components.residual_ease import ResidualEase, star_of
from recsys_core.graph.components.temporal_popularity import TemporalPopularity
from recsys_core.graph.inference.fold_in import FittedModel, messages_of, model_of
from recsys_core.graph.inference.layerwise import Listener, all_vectors
from recsys_core.graph.inference.user_placing import (
    HistoryColumns,
    LayerMessages,
    NetworkPlacing,
    UserPlacing,
    WindowColumns,
)
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.graph.model.gat import GAT, AttentionLayer
from recsys_core.graph.model.message_passing import choose_backend

_SETTINGS: Final = (
    "edges", "user_text_scale", "user_text_half_life", "layer_combination", "temperature",
    "symmetric_normalization",
)  # fmt: skip
_AT_ONCE: Final = 4_000_000
"""Edges at a time."""


def user_placing(fitted: FittedModel, device: torch.device | None = None) -> UserPlacing:
    """Run the trained network once, and keep what its items send in every layer."""
    served = fitted.served
    return UserPlacing(
        network=_network(fitted, device or torch.device("cpu")),
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
            usual = UsualRatings(values=component.item_means, spread=star_of(component.data))
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


@dataclass(frozen=True, kw_only=True)
class _Heard(Listener):
    """What items send, layer by layer."""

    first: int
    found: list[LayerMessages]

    def layer(self, layer: AttentionLayer, sent: torch.Tensor) -> None:
        items = sent[self.first :].float()
        scores = (items * layer.source.float()).sum(-1)
        norm = None
        if layer.norm is not None:
            norm = np.stack([_array(layer.norm.weight), _array(layer.norm.bias)])
        self.found.append(
            LayerMessages(
                sent=_array(items), source_scores=_array(scores), target=_array(layer.target),
                level=_array(layer.level), norm=norm,
                transform=None if layer.transform is None else _array(layer.transform.weight),
            )
        )  # fmt: skip


def _network(fitted: FittedModel, device: torch.device) -> NetworkPlacing:
    none = np.zeros((0, fitted.user_text.shape[1]), np.float32)
    model: GAT = model_of(fitted, none).to(device).eval()
    adjacency, levels = messages_of(fitted, 0, Edges.empty(), device)
    backend = choose_backend(fitted.config.backend, device)
    first = fitted.graph.n_users
    heard = _Heard(first=first, found=[])
    with torch.no_grad():
        all_vectors(model, adjacency, levels, backend, _AT_ONCE, heard)
    config = fitted.config.model_dump()
    return NetworkPlacing(
        projection=_array(model.user_projection.weight),
        offset=_array(model.user_projection.bias),
        layers=tuple(heard.found),
        item_degrees=_array(adjacency.degrees[first:]).astype(np.float32),
        evidence=None if model.evidence is None else _array(model.evidence),
        settings={name: config[name] for name in _SETTINGS},
    )


def _array(tensor: torch.Tensor) -> Floats:
    found: Floats = tensor.detach().float().cpu().numpy()
    return found
