"""Fold-in: vectors of users who came after training, from the trained model.

A new user has no id vector: the profile and the rated items describe the user. Messages go from
items to new users only, so that neither items nor other users depend on who is folded in. Items
without edges are scored by training itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from recsys_core.errors import ConfigError, DataError
from recsys_core.graph.config import TrainingConfig
from recsys_core.graph.inference.layerwise import all_vectors
from recsys_core.graph.interaction_graph import (
    Edges,
    Floats,
    Indices,
    InteractionGraph,
    no_attributes,
)
from recsys_core.graph.model.attention_layer import rating_levels
from recsys_core.graph.model.gat import GAT
from recsys_core.graph.model.message_graph import Adjacency
from recsys_core.graph.model.message_passing import choose_backend
from recsys_core.graph.training.factory import Messages
from recsys_core.graph.training.score_sum import ScoreSum
from recsys_core.interactions.feedback import RatingScale

_AT_ONCE = 4_000_000
"""Edges at a time."""
_IDS, _BIAS = "ids", "item_bias"


@dataclass(frozen=True, kw_only=True)
class FittedModel:
    """A trained model with its training data.

    Attributes:
        graph: nodes and training edges.
        weights: parameters by name (`Trained.weights`).
        user_text: (n_users, d_text) text vectors of training.
        item_text: (n_items, d_text).
        config: what it was trained with (`Trained.config`).
        data: scale and thresholds of ratings.
        served: the sum of the network and its components (`Trained.served`).
    """

    graph: InteractionGraph
    weights: Mapping[str, torch.Tensor]
    user_text: Floats
    item_text: Floats
    config: TrainingConfig
    data: RatingScale
    served: ScoreSum


def fold_in_users(
    fitted: FittedModel,
    profiles: Floats,
    shown: Edges,
    device: torch.device | None = None,
    attributes: Floats | None = None,
) -> Floats:
    """Vectors (n_new, d) of users who came after training, as those of `Trained.user_vectors`.

    Args:
        fitted: the trained model; nothing of it changes.
        profiles: (n_new, d_text) text vectors of their profiles, zeros where there is none.
        shown: their ratings of items of the graph; `users` counts through `profiles`. A user may
            have none.
        device: where to compute; by default the CPU.
        attributes: (n_new, d) user attributes in the columns of training, zeros where unknown; None
            for no attributes.

    Raises:
        DataError: a rating is not a number, or names an item or a user that is not there.
        ConfigError: profiles or weights do not fit the model.
    """
    _check(fitted, profiles, shown, attributes)
    if not len(profiles):
        return np.empty((0, fitted.served.item_vectors.shape[1]), np.float32)
    network = _by_network(fitted, profiles, shown, device or torch.device("cpu"))
    if attributes is None:
        attributes = no_attributes(len(profiles))
    return fitted.served.users(network, shown, attributes)


def _by_network(
    fitted: FittedModel, profiles: Floats, shown: Edges, device: torch.device
) -> Floats:
    model = network_model(fitted, profiles).to(device).eval()
    adjacency, levels = _messages(fitted, len(profiles), shown, device)
    backend = choose_backend(fitted.config.backend, device)
    with torch.no_grad():
        users, _ = all_vectors(model, adjacency, levels, backend, _AT_ONCE)
    found: Floats = users[fitted.graph.n_users :].float().cpu().numpy()
    return found


def _biased(fitted: FittedModel) -> bool:
    return _BIAS in fitted.weights


def network_model(fitted: FittedModel, profiles: Floats) -> GAT:
    """The trained model with the new users after its own, who have zeros as id vectors."""
    first, new = fitted.graph.n_users, len(profiles)
    text = torch.from_numpy(np.concatenate([fitted.user_text, profiles]).astype(np.float32))
    weights, nodes = dict(fitted.weights), first + new + fitted.graph.n_items
    if _IDS in weights:
        ids = weights[_IDS]
        weights[_IDS] = torch.cat([ids[:first], ids.new_zeros(new, ids.shape[1]), ids[first:]])
    start = torch.zeros(nodes, 1) if _IDS in weights else None
    bias = torch.zeros(fitted.graph.n_items) if _biased(fitted) else None
    items = torch.from_numpy(fitted.item_text.astype(np.float32))
    # Layers draw the parameters that are overwritten here; the caller's random state is not ours.
    with torch.random.fork_rng(devices=[]):
        model = GAT(text, items, start, bias, fitted.config)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(
            f"The weights do not fit the model: {error}",
            expected="weights of a training with this configuration, graph and text vectors.",
            fix="pass the configuration and the tables that the model was trained with.",
        ) from error
    return model


def _messages(
    fitted: FittedModel, new: int, shown: Edges, device: torch.device
) -> tuple[Adjacency, torch.Tensor]:
    """Edges of training in both directions, and those from items to new users."""
    edges = fitted.graph.edges
    if fitted.config.edges == "liked":
        edges, shown = edges.liked(fitted.data), shown.liked(fitted.data)
    first, items = fitted.graph.n_users, fitted.graph.n_users + new
    sources = np.concatenate([edges.users, edges.items + items, shown.items + items])
    targets = np.concatenate([edges.items + items, edges.users, shown.users + first])
    ratings = np.concatenate([edges.ratings, edges.ratings, shown.ratings])
    return Messages(
        sources=torch.from_numpy(sources).to(device),
        targets=torch.from_numpy(targets).to(device),
        levels=rating_levels(torch.from_numpy(ratings).to(device), fitted.data),
        n_nodes=items + fitted.graph.n_items,
    ).sorted()


def training_messages(fitted: FittedModel) -> tuple[Adjacency, torch.Tensor]:
    """Edges of training alone, and their levels, in the adjacency's order."""
    return _messages(fitted, 0, Edges.empty(), torch.device("cpu"))


def _check(fitted: FittedModel, profiles: Floats, shown: Edges, attributes: Floats | None) -> None:
    width = fitted.user_text.shape[1]
    if profiles.ndim != 2 or profiles.shape[1] != width:
        raise ConfigError(
            f"The new users' profile vectors have shape {profiles.shape}.",
            expected=f"(new users, {width}), as in training.",
            fix="embed them with the same model, or pass zeros for users without a profile.",
        )
    expected = (len(profiles), fitted.graph.user_attributes.shape[1])
    if attributes is not None and attributes.shape != expected:
        raise ConfigError(
            f"The new users' attributes have shape {attributes.shape}.",
            expected=f"{expected}, as in training.",
            fix="make them of one table with those of training, or pass none.",
        )
    _in_range("user", shown.users, len(profiles))
    _in_range("item", shown.items, fitted.graph.n_items)
    if not np.isfinite(shown.ratings).all():
        raise DataError("A rating of a new user is not a number.", expected="ratings of the scale.")


def _in_range(name: str, numbers: Indices, count: int) -> None:
    outside = numbers[(numbers < 0) | (numbers >= count)]
    if len(outside):
        raise DataError(
            f"{len(outside)} ratings of new users name {name} number {outside[0]}.",
            expected=f"numbers from 0 to {count - 1}.",
            fix="leave out ratings of items that the model was not trained with."
            if name == "item"
            else "number the new users in the order of their profiles.",
        )
