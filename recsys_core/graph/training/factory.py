"""The parts of a run: messages, model, optimiser and schedule."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn

from recsys_core.graph.config import TrainingConfig
from recsys_core.graph.model.attention_layer import rating_levels
from recsys_core.graph.model.gat import GAT
from recsys_core.graph.model.message_graph import Adjacency
from recsys_core.graph.model.mixed_precision import set_precision
from recsys_core.graph.model.svd_init import svd_vectors
from recsys_core.graph.training.objective import target_weights
from recsys_core.graph.training.spec import TrainingSpec
from recsys_core.graph.training.warm_start import warm

_WARM_UP: Final = 0.05
_WARM_PEAK: Final = 0.5


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


def messages_of(spec: TrainingSpec) -> Messages:
    """The messages of the spec's graph, on its device."""
    edges = spec.graph.edges
    if spec.config.edges == "liked":
        edges = edges.liked(spec.data)
    users = torch.tensor(edges.users, device=spec.device)  # a copy: tables are read-only
    items = torch.tensor(edges.items, device=spec.device) + spec.graph.n_users
    levels = rating_levels(torch.tensor(edges.ratings, device=spec.device), spec.data)
    return Messages(
        sources=torch.cat([users, items]),
        targets=torch.cat([items, users]),
        levels=levels.repeat(2),
        n_nodes=spec.graph.n_users + spec.graph.n_items,
    )


def model_of(spec: TrainingSpec) -> GAT:
    """The model before the first epoch, on the spec's device.

    Raises:
        ConfigError: the earlier model to start from has other parameters.
    """
    text = torch.tensor(spec.user_text), torch.tensor(spec.item_text)
    model = GAT(*text, _start_of_ids(spec), _start_of_biases(spec), spec.config)
    if spec.start is not None:
        warm(model, spec.start, spec.graph, spec.item_text)
    set_precision(model, spec.precision)
    return model.to(spec.device)


def _start_of_ids(spec: TrainingSpec) -> torch.Tensor | None:
    if not spec.config.id_dimensions:
        return None
    edges = spec.graph.edges
    return torch.from_numpy(
        svd_vectors(
            edges.users,
            edges.items,
            target_weights(edges.ratings, spec.config, spec.data),
            shape=(spec.graph.n_users, spec.graph.n_items),
            rank=spec.config.id_dimensions,
            seed=spec.seed,
        )
    )


def _start_of_biases(spec: TrainingSpec) -> torch.Tensor | None:
    """Logarithms of popularity, their mean at zero, where profiles start to tell it."""
    if spec.config.loss != "softmax" or not spec.config.item_bias:
        return None
    edges = spec.graph.edges
    weights = target_weights(edges.ratings, spec.config, spec.data)
    logs = np.log1p(np.bincount(edges.items, weights, minlength=spec.graph.n_items))
    return torch.from_numpy((logs - logs.mean()).astype(np.float32))


def optimiser_of(model: GAT, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW; what belongs to a single node has no weight decay."""
    slow = model.slow_parameters()
    kept = {id(one) for one in slow}
    rest: list[nn.Parameter] = [one for one in model.parameters() if id(one) not in kept]
    groups = [{"params": rest, "weight_decay": config.weight_decay}]
    if slow:
        groups.append({"params": slow, "weight_decay": 0.0})
    # Fused: one pass over the id vectors per step in place of ten.
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def schedule_of(
    optimiser: torch.optim.Optimizer, steps: int, *, floor: float, warm_start: bool
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up, then half a cosine down to a share of the peak, over `steps` steps.

    A warm start goes on at half the peak: the peak would undo in its first epochs what is learned
    already.
    """
    peak = _WARM_PEAK if warm_start else 1.0
    return torch.optim.lr_scheduler.LambdaLR(optimiser, _shape(steps, peak, min(floor, peak)))


def floor_of(config: TrainingConfig) -> float:
    """Share of the peak that the learning rate ends at."""
    return 0.1 if config.recipe == "sparse" else 0.5


def _shape(total: int, peak: float, floor: float) -> Callable[[int], float]:
    warm_up = max(1, round(_WARM_UP * total))

    def factor(step: int) -> float:
        if step < warm_up:
            return peak * (step + 1) / warm_up
        done = min(1.0, (step - warm_up) / max(1, total - warm_up))
        return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * done))

    return factor
