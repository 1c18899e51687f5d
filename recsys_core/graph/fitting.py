"""One run of full-batch training on one set of edges."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn

from recsys_core.columns import BPR_LOSS, COSINE_LOSS, EPOCH, LEARNING_RATE, LOSS, PHASE, VALID_NDCG
from recsys_core.config import DataConfig, GraphConfig
from recsys_core.errors import ConfigError, TrainingError
from recsys_core.graph.adjacency import Adjacency, MessagePassing
from recsys_core.graph.bipartite import Bipartite, Floats
from recsys_core.graph.gat import GAT, rating_levels
from recsys_core.graph.message_passing import Backend, bind
from recsys_core.graph.objective import Objective, build_objective, target_weights
from recsys_core.graph.spectral import spectral_vectors
from recsys_core.graph.validation import Validator

Listener = Callable[[int, int, float, float | None], None]
"""Called after every epoch with (epoch, epochs at most, loss, NDCG if it was measured)."""

_WARM_UP: Final = 0.05
_FLOOR: Final = 0.5
_SAME: Final = 0.9999


@dataclass(frozen=True, kw_only=True)
class Task:
    """What to fit.

    Attributes:
        phase: name in the curves.
        graph: nodes, and the edges to train on.
        user_text: (n_users, d_text) text vectors.
        item_text: (n_items, d_text) text vectors.
        config: model and training.
        data: thresholds of ratings.
        seed: of every random choice.
        device: where to compute.
        backend: kernels of message passing.
        epochs: epochs at most.
        validator: measures NDCG for early stopping; None trains all epochs.
    """

    phase: str
    graph: Bipartite
    user_text: Floats
    item_text: Floats
    config: GraphConfig
    data: DataConfig
    seed: int
    device: torch.device
    backend: Backend
    epochs: int
    validator: Validator | None = None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted model.

    Attributes:
        weights: parameters by name, on the CPU.
        user_vectors: (n_users, d) refined vectors.
        item_vectors: (n_items, d).
        epoch: the epoch they are from: the best one, or the last without a validator.
        ndcg: its validation NDCG@10, or None.
        curves: one row per epoch, as `columns.CURVES`.
    """

    weights: dict[str, torch.Tensor]
    user_vectors: Floats
    item_vectors: Floats
    epoch: int
    ndcg: float | None
    curves: list[dict[str, object]]


def fit(task: Task, on_epoch: Listener | None = None) -> Fit:
    """Train, and return the best epoch (by validation) or the last.

    The caller has seeded torch: parameters and dropout draw from its global generator.

    Raises:
        TrainingError: the loss became NaN or infinite, or all vectors became one.
        ConfigError: no epoch was asked for.
    """
    return _Run(task).run(on_epoch)


class _Run:
    """The moving parts of one run."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.passing, self.levels = _messages(task)
        self.model = _model(task).to(task.device)
        self.objective = _objective(task)
        self.optimiser = _optimiser(self.model, task.config)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, _shape(task.config.max_epochs)
        )
        self.best: Fit | None = None
        self.curves: list[dict[str, object]] = []

    def run(self, on_epoch: Listener | None) -> Fit:
        task, since_best = self.task, 0
        for epoch in range(1, task.epochs + 1):
            row = self._step(epoch)
            last = epoch == task.epochs
            if last or (task.validator and epoch % task.config.evaluate_every == 0):
                since_best = 0 if self._measure(epoch, row) else since_best + 1
            self.curves.append(row)
            if on_epoch:
                on_epoch(epoch, task.epochs, float(str(row[LOSS])), _ndcg(row))
            if since_best >= task.config.patience:
                break
        if self.best is None:
            raise ConfigError(f"{task.epochs} epochs were asked for.", expected="one or more.")
        return self.best

    def _step(self, epoch: int) -> dict[str, object]:
        self.model.train()
        rate = self.optimiser.param_groups[0]["lr"]
        self.optimiser.zero_grad(set_to_none=True)
        loss, parts = self.objective(*self.model(self.passing, self.levels))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"The loss of epoch {epoch} ({self.task.phase}) is {value}.",
                expected="a finite loss.",
                fix="lower graph.learning_rate, and look for extreme values in the embeddings.",
            )
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.schedule.step()
        return {
            PHASE: self.task.phase, EPOCH: epoch, LOSS: value, BPR_LOSS: parts.get(BPR_LOSS),
            COSINE_LOSS: parts.get(COSINE_LOSS), VALID_NDCG: None, LEARNING_RATE: rate,
        }  # fmt: skip

    def _measure(self, epoch: int, row: dict[str, object]) -> bool:
        """Compute vectors, and keep them if they are the best so far; whether they are."""
        users, items = self._vectors()
        _not_collapsed(self.task, items, epoch)
        validator = self.task.validator
        ndcg = validator.ndcg(users, items) if validator else None
        row[VALID_NDCG] = ndcg
        if self.best and ndcg is not None and self.best.ndcg is not None and ndcg <= self.best.ndcg:
            return False
        self.best = Fit(
            weights={name: value.cpu().clone() for name, value in self.model.state_dict().items()},
            user_vectors=users,
            item_vectors=items,
            epoch=epoch,
            ndcg=ndcg,
            curves=self.curves,
        )
        return True

    def _vectors(self) -> tuple[Floats, Floats]:
        self.model.eval()
        with torch.no_grad():
            users, items = self.model(self.passing, self.levels)
        return users.float().cpu().numpy(), items.float().cpu().numpy()


def _ndcg(row: dict[str, object]) -> float | None:
    value = row[VALID_NDCG]
    return value if isinstance(value, float) else None


def _messages(task: Task) -> tuple[MessagePassing, torch.Tensor]:
    """Both directions of every edge that carries messages, bound to the back end."""
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


def _model(task: Task) -> GAT:
    ids = None
    if task.config.id_rank:
        edges = task.graph.edges
        ids = torch.from_numpy(
            spectral_vectors(
                edges.users,
                edges.items,
                target_weights(edges.ratings, task.config, task.data),
                shape=(task.graph.n_users, task.graph.n_items),
                rank=task.config.id_rank,
                seed=task.seed,
            )
        )
    return GAT(torch.tensor(task.user_text), torch.tensor(task.item_text), ids, task.config)


def _objective(task: Task) -> Objective:
    generator = torch.Generator(device=task.device).manual_seed(task.seed)
    return build_objective(task.graph, task.config, task.data, task.device, generator)


def _optimiser(model: GAT, config: GraphConfig) -> torch.optim.Optimizer:
    slow = model.slow_parameters()
    kept = {id(one) for one in slow}
    rest: list[nn.Parameter] = [one for one in model.parameters() if id(one) not in kept]
    groups = [{"params": rest, "weight_decay": config.weight_decay}]
    if slow:
        groups.append({"params": slow, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _shape(total: int) -> Callable[[int], float]:
    """Linear warm-up, then half a cosine down to half the peak."""
    warm = max(1, round(_WARM_UP * total))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        done = min(1.0, (step - warm) / max(1, total - warm))
        return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * done))

    return factor


def _not_collapsed(task: Task, items: Floats, epoch: int) -> None:
    """Stop when the items that have edges all point the same way.

    Raises:
        TrainingError: their mean cosine is above .9999, or they are not finite.
    """
    rows = items[np.unique(task.graph.edges.items)].astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    directions = rows[norms > 0] / norms[norms > 0, None]
    size = float(np.square(directions.mean(0)).sum()) if len(directions) else 1.0
    if math.isfinite(size) and (size < _SAME or len(rows) < 10):
        return
    raise TrainingError(
        f"At epoch {epoch} ({task.phase}) the vectors of {len(rows)} items have collapsed into one"
        f" direction (mean cosine {size:.5f}).",
        expected="vectors that tell items apart.",
        fix="lower graph.cosine_weight, graph.learning_rate or graph.dropout.",
    )
