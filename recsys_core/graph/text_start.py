"""Where the maps from texts start: ridge regressions onto what the ratings of the items say.

Practice (`practice`) shows an item as new a few times only, too seldom to learn such a map from
nothing. Id vectors take up what the texts miss, so the sum of the two starts as it would without.
"""

from typing import Final

import numpy as np
import torch

from recsys_core.baselines.text import ridge
from recsys_core.graph.gat import GAT
from recsys_core.graph.objective import target_weights
from recsys_core.graph.spectral import spectral_vectors
from recsys_core.graph.task import Task

RANK: Final = 64
"""Spectral directions that texts predict; more than ids start from, since a ridge averages."""
PENALTY: Final = 10.0


def start_from_text(model: GAT, task: Task) -> None:
    """Let the projection and the popularity of items start from ridge regressions on their texts.

    Args:
        model: as built, with id vectors and biases; others are left alone.
        task: the edges and texts.
    """
    edges, n_users = task.graph.edges, task.graph.n_users
    known = np.bincount(edges.items, minlength=task.graph.n_items) > 0
    if model.ids is None or model.item_bias is None or model.popularity is None or not known.any():
        return
    vectors = spectral_vectors(
        edges.users,
        edges.items,
        target_weights(edges.ratings, task.config, task.data),
        shape=(n_users, task.graph.n_items),
        rank=min(RANK, model.ids.shape[1]),
        seed=task.seed,
    )[n_users:]
    texts = task.item_text[known].astype(np.float64)
    with torch.no_grad():
        bias = model.item_bias.detach().numpy()[known, None]
        _set(model.popularity, *ridge(texts, bias.astype(np.float64), PENALTY))
        _set(model.item_projection, *ridge(texts, vectors[known].astype(np.float64), PENALTY))
        of_known = torch.from_numpy(known).unsqueeze(1)
        model.ids[n_users:] -= model.item_projection(model.item_text) * of_known


def _set(layer: torch.nn.Linear, slopes: np.ndarray, intercept: np.ndarray) -> None:
    """Weights of the first outputs; zero for the rest."""
    outputs = slopes.shape[1]
    layer.weight.zero_()
    layer.bias.zero_()
    layer.weight[:outputs] = torch.from_numpy(slopes.T.astype(np.float32))
    layer.bias[:outputs] = torch.from_numpy(intercept.astype(np.float32))
