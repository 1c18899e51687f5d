"""The network of preset `paper` written with the attention layers of DGL and of PyG, as shipped.

Projections, normalisation, residual connections and loss are those of the project; only the layers
that pass messages are theirs.
"""

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from recsys_core.graph.config import GraphConfig
from recsys_core.graph.training.objective import build_objective
from recsys_core.graph.training.spec import TrainingSpec

HAS_PYG = importlib.util.find_spec("torch_geometric") is not None


class StockGAT(nn.Module):
    """Text -> projection -> layers of (attention, layer norm, LeakyReLU, dropout, residual)."""

    def __init__(
        self, spec: TrainingSpec, layer: Callable[[GraphConfig], nn.Module], edges: Any
    ) -> None:
        super().__init__()
        config, width = spec.config, spec.config.hidden * spec.config.heads
        self.user_text, self.item_text = (
            torch.tensor(spec.user_text), torch.tensor(spec.item_text),
        )  # fmt: skip
        self.user_projection = nn.Linear(self.user_text.shape[1], width)
        self.item_projection = nn.Linear(self.item_text.shape[1], width)
        self.layers = nn.ModuleList(layer(config) for _ in range(config.layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.edges, self.dropout = edges, config.dropout

    def forward(self) -> tuple[torch.Tensor, torch.Tensor]:
        states = torch.cat(
            [self.user_projection(self.user_text), self.item_projection(self.item_text)]
        )
        states = functional.dropout(states, self.dropout, self.training)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            received = layer(states, self.edges)
            active = functional.leaky_relu(norm(received), 0.2)
            states = functional.dropout(active, self.dropout, self.training) + states
        return states[: len(self.user_text)], states[len(self.user_text) :]


class DglLayer(nn.Module):
    def __init__(self, config: GraphConfig) -> None:
        super().__init__()
        from dgl.nn import GATConv

        width = config.hidden * config.heads
        self.attention = GATConv(
            width, config.hidden, config.heads, bias=False, allow_zero_in_degree=True
        )

    def forward(self, states: torch.Tensor, graph: Any) -> torch.Tensor:
        return self.attention(graph, states).flatten(1)


class PygLayer(nn.Module):
    def __init__(self, config: GraphConfig) -> None:
        super().__init__()
        from torch_geometric.nn import GATv2Conv

        width = config.hidden * config.heads
        self.attention = GATv2Conv(
            width, config.hidden, config.heads, bias=False, add_self_loops=False
        )

    def forward(self, states: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        return self.attention(states, pairs)


def dgl_step(spec: TrainingSpec) -> Callable[[], None]:
    """One epoch of the model with `dgl.nn.GATConv`."""
    import os

    os.environ.setdefault("DGLBACKEND", "pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import dgl
    sources, targets = _both_ways(spec)
    graph = dgl.graph((sources, targets), num_nodes=spec.graph.n_users + spec.graph.n_items)
    return _step(spec, StockGAT(spec, DglLayer, graph.formats(["csr", "csc", "coo"])))


def pyg_step(spec: TrainingSpec) -> Callable[[], None]:
    """One epoch of the model with PyG's `GATv2Conv`, which the paper's authors use."""
    return _step(spec, StockGAT(spec, PygLayer, torch.stack(_both_ways(spec))))


def _both_ways(spec: TrainingSpec) -> tuple[torch.Tensor, torch.Tensor]:
    liked = spec.graph.edges.liked(spec.data)
    users, items = torch.tensor(liked.users), torch.tensor(liked.items) + spec.graph.n_users
    return torch.cat([users, items]), torch.cat([items, users])


def _step(spec: TrainingSpec, model: StockGAT) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(spec.seed)
    objective = build_objective(spec.graph, spec.config, spec.data, spec.device, generator)
    config = spec.config
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss, _ = objective(*model())
        loss.backward()
        optimiser.step()

    return step
