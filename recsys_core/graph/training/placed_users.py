"""Users of training as lists place them: as trained, or by what is shown of them.

Where more is shown of users than the model learned (the newest item of a leave-one-out test, say),
vectors as trained lack it. Such users are folded in by what is shown; and since a folded-in user is
no trained one, the weights of the sum are learned with users who are folded in, too.
"""

from collections.abc import Mapping

import numpy as np
import torch

from recsys_core.graph.inference.network_fold_in import FittedNetwork, network_users
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.graph.training.spec import Fit, TrainingSpec


def same_pairs(one: Edges, other: Edges, n_items: int) -> bool:
    """Whether two sets of edges join the same users and items."""
    first, second = (np.unique(some.users * n_items + some.items) for some in (one, other))
    return bool(np.array_equal(first, second))


def network_vectors(spec: TrainingSpec, fitted: Fit) -> Floats:
    """(n_users, d) the network's vectors of the users by the edges of training."""
    if spec.shown is None:
        return fitted.user_vectors
    return folded_in(spec, fitted.weights, spec.graph.edges)


def folded_in(spec: TrainingSpec, weights: Mapping[str, torch.Tensor], shown: Edges) -> Floats:
    """(n_users, d) the network's vectors of the users by what is shown of them."""
    network = FittedNetwork(
        graph=spec.graph, weights=weights, user_text=spec.user_text, item_text=spec.item_text,
        config=spec.config, data=spec.data,
    )  # fmt: skip
    return network_users(network, spec.user_text, shown, spec.device)
