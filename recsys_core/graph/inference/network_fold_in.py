"""Fold-in by the network alone: vectors of users by what they are shown with, from its parameters.

A folded-in user has no id vector: the profile and the rated items describe the user. Messages go
from items to these users only, so that neither items nor other users depend on who is folded in.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from recsys_core.errors import ConfigError
from recsys_core.graph.config import TrainingConfig
from recsys_core.graph.inference.layerwise import all_vectors
from recsys_core.graph.interaction_graph import Edges, Floats, InteractionGraph
from recsys_core.graph.model.attention_layer import rating_levels
from recsys_core.graph.model.gat import GAT
from recsys_core.graph.model.message_graph import Adjacency
from recsys_core.graph.model.message_passing import choose_backend
from recsys_core.graph.training.factory import Messages
from recsys_core.interactions.feedback import RatingScale

_AT_ONCE = 4_000_000
"""Edges at a time."""
_IDS, _BIAS = "ids", "item_bias"


@dataclass(frozen=True, kw_only=True)
class FittedNetwork:
    """A trained network with its training data.

    Attributes:
        graph: nodes and training edges.
        weights: parameters by name (`Trained.weights`).
        user_text: (n_users, d_text) text vectors of training.
        item_text: (n_items, d_text).
        config: what it was trained with (`Trained.config`).
        data: scale and thresholds of ratings.
    """

    graph: InteractionGraph
    weights: Mapping[str, torch.Tensor]
    user_text: Floats
    item_text: Floats
    config: TrainingConfig
    data: RatingScale


def network_users(
    fitted: FittedNetwork, profiles: Floats, shown: Edges, device: torch.device
) -> Floats:
    """(n, d) the network's vectors of users with these profiles (n, d_text) and ratings."""
    model = network_model(fitted, profiles).to(device).eval()
    adjacency, levels = _messages(fitted, len(profiles), shown, device)
    backend = choose_backend(fitted.config.backend, device)
    with torch.no_grad():
        users, _ = all_vectors(model, adjacency, levels, backend, _AT_ONCE)
    found: Floats = users[fitted.graph.n_users :].float().cpu().numpy()
    return found


def _biased(fitted: FittedNetwork) -> bool:
    return _BIAS in fitted.weights


def network_model(fitted: FittedNetwork, profiles: Floats) -> GAT:
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
    fitted: FittedNetwork, new: int, shown: Edges, device: torch.device
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


def training_messages(fitted: FittedNetwork) -> tuple[Adjacency, torch.Tensor]:
    """Edges of training alone, and their levels, in the adjacency's order."""
    return _messages(fitted, 0, Edges.empty(), torch.device("cpu"))
