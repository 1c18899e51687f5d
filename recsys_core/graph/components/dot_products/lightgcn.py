"""LightGCN without text or attention, trained by a sampled softmax over cosine scores.

He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation" (SIGIR
2020); the loss is that of Wu et al., "On the Effectiveness of Sampled Softmax Loss for Item
Recommendation" (TOIS 2024). Vectors start from the leading singular vectors of the normalised
matrix. Forward and gradient are written out: the propagation is symmetric, so its gradient is the
same product, and no graph of autograd is built over all nodes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import torch
from scipy import sparse
from torch.nn import functional

from recsys_core.graph.components.dot_products.fitter import vectors_of
from recsys_core.graph.components.effort import BUDGETS
from recsys_core.graph.components.histories import Histories, HistoryInput, InputRows
from recsys_core.graph.components.item_maps import Scorer
from recsys_core.graph.components.settings import Ladder, Settings
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import (
    Edges,
    Floats,
    Indices,
    InteractionGraph,
)
from recsys_core.graph.model.svd_init import svd_vectors
from recsys_core.graph.recipes import (
    SPARSE_BELOW,
    STEPS,
    share_of_dense,
    sparse_temperature,
    users_per_step,
)
from recsys_core.graph.training.objective import target_weights
from recsys_core.graph.training.spec import TrainingSpec
from recsys_core.interactions.feedback import RatingScale

_LAYERS: Final = 2
_NEGATIVES: Final = 1500
"""Sampled items per step, shared by its users."""
_LEARNING_RATE: Final = 5e-3
_COST: Final = 60
"""Times that a training reads the interactions, as the budget of an effort counts."""
_WARM_UP: Final = 20
_FLOOR: Final = 0.1
"""The learning rate ends at this share of its peak, by half a cosine."""
_WIDTHS: Final = 256, 128
"""Of vectors, on sparse and on dense data."""
AS_TRAINED: Final = 0.0
_DECAY: Final = "decay"
_DECAYS: Final = (AS_TRAINED, 1.0, 0.8, 0.6)
"""Ways to represent a user of training: as trained, or folded in from the history, each later
interaction multiplying the weight of the earlier ones by this."""


@dataclass(frozen=True, kw_only=True)
class LightGcn:
    """Trained vectors, and what folding in a user takes.

    Attributes:
        items: (n_items, d) of length one.
        trained: (n_users, d) of length 1 / temperature.
        messages: (n_items, d) what a user receives from a rating of weight 1.
        base: (n_users + n_items, d) the parameters, which are propagated to all of these.
        temperature: of the softmax.
        decay: of the weights of earlier interactions; `AS_TRAINED` keeps the vectors of training.
        config: weights of ratings.
        data: thresholds of ratings.
    """

    items: Floats
    trained: Floats
    messages: Floats
    base: Floats
    temperature: float
    decay: float
    config: GraphConfig
    data: RatingScale

    def users(self, edges: Edges, attributes: Floats) -> Floats:
        """As `Component.users`: the direction of the summed messages; zeros without ratings."""
        shape = len(attributes), len(self.items)
        weights = target_weights(edges.ratings, self.config, self.data)
        rated = Histories.from_edges(edges, shape, weights=weights, like_from=self.data.like_from)
        # Where later users come without times, their interactions weigh alike.
        fades = self.decay != AS_TRAINED and rated.order is not None
        row = HistoryInput(decay=self.decay if fades else 1.0)
        received = InputRows(histories=rated).matrix(row) @ self.messages
        lengths = np.linalg.norm(received, axis=1, keepdims=True)
        found: Floats = received / (np.maximum(lengths, 1e-12) * np.float32(self.temperature))
        return found

    def of_training(self, graph: InteractionGraph) -> Floats:
        """As `Component.of_training`."""
        if self.decay == AS_TRAINED:
            return self.trained
        return self.users(graph.edges, graph.user_attributes)


@dataclass(frozen=True, kw_only=True)
class LightGcnFitter:
    """LightGCN, trained once; how it represents users is chosen (`base.Fitter`).

    Attributes:
        spec: what is fitted.
    """

    spec: TrainingSpec
    beside: bool = False
    fits: int = 1

    @property
    def grid(self) -> Mapping[str, Ladder]:
        """As `Fitter.grid`."""
        ordered = bool(np.isfinite(self.spec.graph.edges.times).all())
        ways: tuple[float, ...] = _DECAYS if ordered else _DECAYS[:2]
        if self.spec.shown is not None:  # users are placed by what is shown of them
            ways = tuple(one for one in ways if one != AS_TRAINED)
        return {_DECAY: Ladder(values=ways, cheap=True)}

    def scorer(self, settings: Settings) -> Scorer:
        """As `Fitter.scorer`."""
        return vectors_of(self.fit(settings), self.spec.graph)

    def fit(self, settings: Settings) -> LightGcn:
        """As `Fitter.fit`."""
        return replace(self._trained, decay=settings[_DECAY])

    @cached_property
    def _trained(self) -> LightGcn:
        return _fitted(self.spec)


def lightgcn(spec: TrainingSpec) -> LightGcnFitter | str:
    """Prepare the component, or say why there is none."""
    if min(spec.graph.n_users, spec.graph.n_items) < 2:
        return "fewer than two users or items"
    return LightGcnFitter(spec=spec)


def needless(spec: TrainingSpec) -> str:
    """Why it is not worth a training of its own; empty where it is.

    On sparse data the sum rests on it, whatever it costs. On dense data it adds up to four
    percent of NDCG (docs/experiments.md, 2026-11-30), as far as the effort reaches: each of its
    steps passes messages over all interactions.
    """
    edges, most = len(spec.graph.edges), BUDGETS[spec.config.effort].fitted // _COST
    if _density(spec.graph) < SPARSE_BELOW or edges <= most:
        return ""
    return (
        f"{edges:,} interactions of dense data are beyond the {most:,} that effort"
        f" {spec.config.effort} trains it on"
    )


def _density(graph: InteractionGraph) -> float:
    """Interactions per node."""
    return len(graph.edges) / math.sqrt(max(1, graph.n_users * graph.n_items))


def _fitted(spec: TrainingSpec) -> LightGcn:
    """Train.

    Temperature and width follow from the likes per user and item (geometric mean): sparse data want
    sharper and wider vectors (docs/experiments.md, 2026-11-29).
    """
    graph, edges = spec.graph, spec.graph.edges
    weights = target_weights(edges.ratings, spec.config, spec.data)
    rows = sparse.csr_matrix((weights, (edges.users, edges.items)), (graph.n_users, graph.n_items))
    rows.eliminate_zeros()
    density = rows.nnz / np.sqrt(graph.n_users * graph.n_items)
    temperature = sparse_temperature(density)
    width = _WIDTHS[int(share_of_dense(density) >= 1 or spec.config.effort == "quick")]
    short = spec.config.effort == "quick" or _density(graph) >= SPARSE_BELOW
    steps = STEPS // 2 if short else STEPS
    base = None if spec.start is None else spec.start.lightgcn(graph)
    if spec.start is None or base is None:
        base = _start(rows, width, spec.seed)
    else:
        steps = round(steps * spec.start.share)
    users, items, messages = _train(rows, base.requires_grad_(), steps, temperature, spec.seed)
    return LightGcn(
        items=items, trained=users, messages=messages, base=base.detach().numpy(),
        temperature=temperature, decay=AS_TRAINED, config=spec.config, data=spec.data,
    )  # fmt: skip


def _train(
    rows: sparse.csr_matrix, start: torch.Tensor, steps: int, temperature: float, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Vectors of users and of items, and the items' messages, from parameters that are moved."""
    n_users, n_items = rows.shape
    roots = [np.maximum(np.asarray(rows.sum(axis)).ravel(), 1) ** -0.5 for axis in (1, 0)]
    edges = sparse.csr_matrix(sparse.diags(roots[0]) @ rows @ sparse.diags(roots[1]))
    graph = _Propagation(sparse.block_array([[None, edges], [edges.T, None]], format="csr"))
    active, rng = np.flatnonzero(np.diff(rows.indptr)), np.random.default_rng(seed)
    size = min(users_per_step(len(active)), len(active))
    optimiser = torch.optim.Adam([start], lr=_LEARNING_RATE)
    queue = np.empty(0, np.int64)
    for step in range(1, steps + 1):
        optimiser.param_groups[0]["lr"] = _LEARNING_RATE * _schedule(step, steps)
        if len(queue) < size:
            queue = np.concatenate([queue, rng.permutation(active)])
        batch, queue = np.sort(queue[:size]), queue[size:]
        drawn = rng.choice(n_items, min(_NEGATIVES, n_items), replace=False)
        start.grad = _gradient(graph, start, rows[batch], batch, drawn, n_users, temperature)
        optimiser.step()
    states = [start.detach()]
    for _ in range(_LAYERS):
        states.append(graph(states[-1]))
    final = functional.normalize(torch.stack(states).sum(0), dim=1).numpy()
    # A user without a vector of their own receives what the layers below the last one send.
    messages = torch.stack(states[:-1]).sum(0)[n_users:].numpy() * roots[1][:, None]
    found = final[:n_users] / np.float32(temperature)
    evidence = np.diff(rows.indptr) > 0
    known = np.diff(rows.tocsc().indptr) > 0
    return found * evidence[:, None], final[n_users:] * known[:, None], messages.astype(np.float32)


def _start(rows: sparse.csr_matrix, width: int, seed: int) -> torch.Tensor:
    """(n_users + n_items, width) singular vectors; random where there are too few."""
    pairs = rows.tocoo()
    users, items = pairs.row.astype(np.int64), pairs.col.astype(np.int64)
    found = svd_vectors(users, items, pairs.data, shape=rows.shape, rank=width, seed=seed)
    missing = width - found.shape[1]
    noise = np.random.default_rng(seed).normal(size=(len(found), missing)) * found.std()
    return torch.from_numpy(np.hstack([found, noise]).astype(np.float32))


def _schedule(step: int, steps: int) -> float:
    done = max(0, step - _WARM_UP) / max(1, steps - _WARM_UP)
    shape = _FLOOR + (1 - _FLOOR) * 0.5 * (1 + np.cos(np.pi * done))
    return float(min(1.0, step / _WARM_UP) * shape)


class _Propagation:
    """Product with a sparse matrix, by the fastest kernel of torch on the CPU."""

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        self._columns = torch.from_numpy(matrix.indices.astype(np.int64))
        self._starts = torch.from_numpy(matrix.indptr.astype(np.int64))
        self._values = torch.from_numpy(matrix.data.astype(np.float32))

    def __call__(self, dense: torch.Tensor) -> torch.Tensor:
        summed: torch.Tensor = functional.embedding_bag(
            self._columns, dense, self._starts, mode="sum", per_sample_weights=self._values,
            include_last_offset=True,
        )  # fmt: skip
        return summed

    def layers(self, start: torch.Tensor) -> torch.Tensor:
        """Sum of the input and of every layer (Horner), of a symmetric matrix."""
        state = self(start)
        for _ in range(_LAYERS - 1):
            state = self(state.add_(start))
        return state.add_(start)


@torch.no_grad()
def _gradient(
    graph: _Propagation,
    start: torch.Tensor,
    rows: sparse.csr_matrix,
    batch: Indices,
    drawn: Indices,
    n_users: int,
    temperature: float,
) -> torch.Tensor:
    """Gradient of the loss of some users with respect to the start vectors.

    The loss of a pair is log(sum over the drawn items of e^score) - score of the pair, weighted.

    Args:
        graph: of all nodes.
        start: (n_nodes, d).
        rows: (b, n_items) weights of the users' pairs.
        batch: (b,) the users.
        drawn: (m,) items of the softmax.
        n_users: number of users.
        temperature: cosines are divided by it.
    """
    final = graph.layers(start)
    length = torch.linalg.vector_norm(final, dim=1, keepdim=True).clamp_min_(1e-12)
    final.div_(length)
    places, items = torch.from_numpy(batch), torch.from_numpy(drawn) + n_users
    rows = rows * np.float32(1 / rows.data.sum())
    shares = torch.from_numpy(np.asarray(rows.sum(1), np.float32))
    users, others = final[places].div_(temperature), final[items]
    odds = torch.softmax(users @ others.T, 1).mul_(shares)
    gradient = torch.zeros_like(final)
    pulled = _Propagation(rows)(final[n_users:])
    gradient[places] = torch.mm(odds, others).sub_(pulled).div_(temperature)
    gradient[items] = torch.mm(odds.T, users)
    gradient[n_users:].sub_(_Propagation(rows.T.tocsr())(users))
    # Through the scale to length one, then back through the layers, which are symmetric.
    gradient.addcmul_(final, (final * gradient).sum(1, keepdim=True), value=-1).div_(length)
    return graph.layers(gradient)
