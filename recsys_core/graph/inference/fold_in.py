"""Fold-in: vectors of users who came after training, from the trained model.

A new user has no id vector: the profile and the rated items describe the user. Messages go from
items to new users only, so that neither items nor other users depend on who is folded in. Items
without edges are scored by training itself.
"""

from dataclasses import dataclass

import numpy as np
import torch

from recsys_core.errors import ConfigError, DataError
from recsys_core.graph.inference.network_fold_in import FittedNetwork, network_users
from recsys_core.graph.interaction_graph import Edges, Floats, Indices, no_attributes
from recsys_core.graph.training.score_sum import ScoreSum


@dataclass(frozen=True, kw_only=True)
class FittedModel(FittedNetwork):
    """A trained model with its training data.

    Attributes:
        served: the sum of the network and its components (`Trained.served`).
    """

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
    network = network_users(fitted, profiles, shown, device or torch.device("cpu"))
    if attributes is None:
        attributes = no_attributes(len(profiles))
    return fitted.served.users(network, shown, attributes)


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
