"""The parts of a run: messages, model, optimiser and schedule."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn

from recsys_core.graph.config import GraphConfig
from recsys_core.graph.model.adjacency import Adjacency
from recsys_core.graph.model.gat import GAT, rating_levels
from recsys_core.graph.model.mixed_precision import set_precision
from recsys_core.graph.model.svd_init import spectral_vectors
from recsys_core.graph.training.objective import target_weights
from recsys_core.graph.training.spec import Task
from recsys_core.graph.training.warm_start import warm

_WARM_UP: Final = 0.05
_FLOOR: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Messages:
    """Both directions of every edge that carries messages.

    Attributes:
        sources: (n,) node each comes from; users are numbered first, then items.
        targets: (n,) node it goes to.
        levels: (n,) level of rating.
        n_nodes: users and items.
    """

    sources: torch.Tensor
    targets: torch.Tensor
    levels: torch.Tensor
    n_nodes: int

    def sorted(self) -> tuple[Adjacency, torch.Tensor]:
        """The edges in the order of message passing, and their levels."""
        adjacency = Adjacency(self.sources, self.targets, self.n_nodes)
        return adjacency, self.levels[adjacency.order]


def messages_of(task: Task) -> Messages:
    """The messages of the task's graph, on its device."""
    edges = task.graph.edges
    if task.config.edges == "liked":
        edges = edges.liked(task.data.like_from)
    users = torch.tensor(edges.users, device=task.device)  # a copy: tables are read-only
    items = torch.tensor(edges.items, device=task.device) + task.graph.n_users
    levels = rating_levels(torch.tensor(edges.ratings, device=task.device), task.data)
    return Messages(
        sources=torch.cat([users, items]),
        targets=torch.cat([items, users]),
        levels=levels.repeat(2),
        n_nodes=task.graph.n_users + task.graph.n_items,
    )


def model_of(task: Task) -> GAT:
    """The model before the first epoch, on the task's device.

    Raises:
        ConfigError: the earlier model to start from has other parameters.
    """
    text = torch.tensor(task.user_text), torch.tensor(task.item_text)
    model = GAT(*text, _start_of_ids(task), _start_of_biases(task), task.config)
    if task.start is not None:
        warm(model, task.start, task.graph)
    set_precision(model, task.precision)
    return model.to(task.device)


def _start_of_ids(task: Task) -> torch.Tensor | None:
    if not task.config.id_rank:
        return None
    edges = task.graph.edges
    return torch.from_numpy(
        spectral_vectors(
            edges.users,
            edges.items,
            target_weights(edges.ratings, task.config, task.data),
            shape=(task.graph.n_users, task.graph.n_items),
            rank=task.config.id_rank,
            seed=task.seed,
        )
    )


def _start_of_biases(task: Task) -> torch.Tensor | None:
    """Logarithms of popularity, their mean at zero, where profiles start to tell it."""
    if task.config.loss != "softmax":
        return None
    edges = task.graph.edges
    weights = target_weights(edges.ratings, task.config, task.data)
    logs = np.log1p(np.bincount(edges.items, weights, minlength=task.graph.n_items))
    return torch.from_numpy((logs - logs.mean()).astype(np.float32))


def optimiser_of(model: GAT, config: GraphConfig) -> torch.optim.Optimizer:
    """AdamW; what belongs to a single node has no weight decay."""
    slow = model.slow_parameters()
    kept = {id(one) for one in slow}
    rest: list[nn.Parameter] = [one for one in model.parameters() if id(one) not in kept]
    groups = [{"params": rest, "weight_decay": config.weight_decay}]
    if slow:
        groups.append({"params": slow, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def schedule_of(
    optimiser: torch.optim.Optimizer, steps: int, *, warm_start: bool
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up, then half a cosine down to half the peak, over `steps` steps.

    A warm start goes on at half the peak, where the earlier training ended: the peak would undo
    in its first epochs what is learned already.
    """
    peak = _FLOOR if warm_start else 1.0
    return torch.optim.lr_scheduler.LambdaLR(optimiser, _shape(steps, peak))


def _shape(total: int, peak: float) -> Callable[[int], float]:
    warm_up = max(1, round(_WARM_UP * total))

    def factor(step: int) -> float:
        if step < warm_up:
            return peak * (step + 1) / warm_up
        done = min(1.0, (step - warm_up) / max(1, total - warm_up))
        return _FLOOR + (peak - _FLOOR) * 0.5 * (1 + math.cos(math.pi * done))

    return factor
