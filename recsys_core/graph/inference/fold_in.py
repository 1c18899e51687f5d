"""Vectors of users who came after training, by the trained model as it is.

A new user has no id vector: the profile and the rated items say all there is. Messages go from
items to new users only, so neither the items nor other users change by who else is placed. Items
that came after training need no such step: those without edges are scored by training already.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from recsys_core.errors import ConfigError, DataError
from recsys_core.graph.components.base import Beside, with_users
from recsys_core.graph.config import TrainingConfig
from recsys_core.graph.inference.layerwise import all_vectors
from recsys_core.graph.interaction_graph import Bipartite, Edges, Floats, Indices, no_attributes
from recsys_core.graph.model.adjacency import Adjacency
from recsys_core.graph.model.gat import GAT, rating_levels
from recsys_core.graph.model.message_passing import choose_backend
from recsys_core.graph.training.factory import Messages
from recsys_core.interactions.feedback import RatingScale

_AT_ONCE = 4_000_000
"""Edges at a time."""
_IDS, _BIAS = "ids", "item_bias"


@dataclass(frozen=True, kw_only=True)
class Known:
    """A trained model and what it was trained on.

    Attributes:
        graph: nodes, and all edges of training.
        weights: parameters by name (`Trained.weights`).
        user_text: (n_users, d_text) text vectors that it was trained with.
        item_text: (n_items, d_text).
        config: what it was trained with (`Trained.config`).
        data: scale and thresholds of ratings.
        beside: the parts beside the network (`Trained.beside`).
    """

    graph: Bipartite
    weights: Mapping[str, torch.Tensor]
    user_text: Floats
    item_text: Floats
    config: TrainingConfig
    data: RatingScale
    beside: tuple[Beside, ...] = ()


def place_users(
    known: Known,
    profiles: Floats,
    shown: Edges,
    device: torch.device | None = None,
    attributes: Floats | None = None,
) -> Floats:
    """Vectors (n_new, d) of users who came after training, as those of `Trained.user_vectors`.

    Args:
        known: the trained model; nothing of it changes.
        profiles: (n_new, d_text) text vectors of their profiles, zeros where there is none.
        shown: their ratings of items of the graph; `users` counts through `profiles`. A user may
            have none.
        device: where to compute; by default the CPU.
        attributes: (n_new, d) what else is known of them, as of the users of training; zeros where
            something is not. None for nothing.

    Raises:
        DataError: a rating is not a number, or names an item or a user that is not there.
        ConfigError: profiles or weights do not fit the model.
    """
    _check(known, profiles, shown, attributes)
    if not len(profiles):
        return np.empty((0, _dimensions(known)), np.float32)
    network = _by_network(known, profiles, shown, device or torch.device("cpu"))
    if attributes is None:
        attributes = no_attributes(len(profiles))
    return with_users(network, known.beside, shown, attributes)


def _by_network(known: Known, profiles: Floats, shown: Edges, device: torch.device) -> Floats:
    model = _model(known, profiles).to(device).eval()
    adjacency, levels = _messages(known, len(profiles), shown, device)
    backend = choose_backend(known.config.backend, device)
    with torch.no_grad():
        users, _ = all_vectors(model, adjacency, levels, backend, _AT_ONCE)
    found: Floats = users[known.graph.n_users :].float().cpu().numpy()
    return found


def _dimensions(known: Known) -> int:
    beside: int = sum(part.items.shape[1] for part in known.beside)
    return known.config.hidden * known.config.heads + _biased(known) + beside


def _biased(known: Known) -> bool:
    return _BIAS in known.weights


def _model(known: Known, profiles: Floats) -> GAT:
    """The trained model with the new users after its own, who have zeros as id vectors."""
    first, new = known.graph.n_users, len(profiles)
    text = torch.from_numpy(np.concatenate([known.user_text, profiles]).astype(np.float32))
    weights, nodes = dict(known.weights), first + new + known.graph.n_items
    if _IDS in weights:
        ids = weights[_IDS]
        weights[_IDS] = torch.cat([ids[:first], ids.new_zeros(new, ids.shape[1]), ids[first:]])
    start = torch.zeros(nodes, 1) if _IDS in weights else None
    bias = torch.zeros(known.graph.n_items) if _biased(known) else None
    items = torch.from_numpy(known.item_text.astype(np.float32))
    # Layers draw the parameters that are overwritten here; the caller's random state is not ours.
    with torch.random.fork_rng(devices=[]):
        model = GAT(text, items, start, bias, known.config)
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
    known: Known, new: int, shown: Edges, device: torch.device
) -> tuple[Adjacency, torch.Tensor]:
    """Edges of training in both directions, and those from items to new users."""
    edges = known.graph.edges
    if known.config.edges == "liked":
        like_from = known.data.like_from
        edges, shown = edges.liked(like_from), shown.liked(like_from)
    first, items = known.graph.n_users, known.graph.n_users + new
    sources = np.concatenate([edges.users, edges.items + items, shown.items + items])
    targets = np.concatenate([edges.items + items, edges.users, shown.users + first])
    ratings = np.concatenate([edges.ratings, edges.ratings, shown.ratings])
    return Messages(
        sources=torch.from_numpy(sources).to(device),
        targets=torch.from_numpy(targets).to(device),
        levels=rating_levels(torch.from_numpy(ratings).to(device), known.data),
        n_nodes=items + known.graph.n_items,
    ).sorted()


def _check(known: Known, profiles: Floats, shown: Edges, attributes: Floats | None) -> None:
    width = known.user_text.shape[1]
    if profiles.ndim != 2 or profiles.shape[1] != width:
        raise ConfigError(
            f"The new users' profile vectors have shape {profiles.shape}.",
            expected=f"(new users, {width}), as in training.",
            fix="embed them with the same model, or pass zeros for users without a profile.",
        )
    expected = (len(profiles), known.graph.known_of_users.shape[1])
    if attributes is not None and attributes.shape != expected:
        raise ConfigError(
            f"The new users' attributes have shape {attributes.shape}.",
            expected=f"{expected}, as in training.",
            fix="make them of one table with those of training, or pass none.",
        )
    _in_range("user", shown.users, len(profiles))
    _in_range("item", shown.items, known.graph.n_items)
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
