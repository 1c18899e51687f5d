"""The parts of a run, put together: messages, model, objective, optimiser and schedule."""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import nn

from recsys_core.config import GraphConfig
from recsys_core.graph.adjacency import Adjacency, MessagePassing
from recsys_core.graph.gat import GAT, rating_levels
from recsys_core.graph.message_passing import bind
from recsys_core.graph.objective import Objective, build_objective, target_weights
from recsys_core.graph.spectral import spectral_vectors
from recsys_core.graph.task import Task

_WARM_UP: Final = 0.05
_FLOOR: Final = 0.5


def messages_of(task: Task) -> tuple[MessagePassing, torch.Tensor]:
    """Both directions of every edge that carries messages, bound to the back end; their levels."""
    edges = task.graph.edges
    if task.config.edges == "liked":
        edges = edges.liked(task.data.like_from)
    users = torch.tensor(edges.users, device=task.device)  # a copy: tables are read-only
    items = torch.tensor(edges.items, device=task.device) + task.graph.n_users
    adjacency = Adjacency(
        torch.cat([users, items]),
        torch.cat([items, users]),
        task.graph.n_users + task.graph.n_items,
    )
    levels = rating_levels(torch.tensor(edges.ratings, device=task.device), task.data)
    return bind(task.backend, adjacency), levels.repeat(2)[adjacency.order]


def model_of(task: Task) -> GAT:
    """The untrained model on the task's device."""
    text = torch.tensor(task.user_text), torch.tensor(task.item_text)
    return GAT(*text, _start_of_ids(task), task.config).to(task.device)


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


def objective_of(task: Task, generator: torch.Generator) -> Objective:
    """What the task minimises; negatives are drawn from `generator`."""
    return build_objective(task.graph, task.config, task.data, task.device, generator)


def optimiser_of(model: GAT, config: GraphConfig) -> torch.optim.Optimizer:
    """AdamW; what belongs to a single node has no weight decay."""
    slow = model.slow_parameters()
    kept = {id(one) for one in slow}
    rest: list[nn.Parameter] = [one for one in model.parameters() if id(one) not in kept]
    groups = [{"params": rest, "weight_decay": config.weight_decay}]
    if slow:
        groups.append({"params": slow, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def schedule_of(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up, then half a cosine down to half the peak, over `steps` steps."""
    return torch.optim.lr_scheduler.LambdaLR(optimiser, _shape(steps))


def _shape(total: int) -> Callable[[int], float]:
    warm = max(1, round(_WARM_UP * total))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        done = min(1.0, (step - warm) / max(1, total - warm))
        return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * done))

    return factor
