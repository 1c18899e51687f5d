"""Attention over the edges of a graph, behind one small interface with two back ends.

`dgl` uses the kernels of the Deep Graph Library; `torch` needs nothing but torch (see `sparse`).
Both take the same `Adjacency`, number the edges alike and agree to rounding. Neither ever holds a
tensor of edges x heads x hidden. This is the only module that imports dgl.
"""

import os
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from recsys_core.errors import ConfigError

if TYPE_CHECKING:
    import torch

Backend = Literal["dgl", "torch"]


class Adjacency:
    """Directed edges, sorted by target and then source.

    Args:
        sources: (n_edges,) node each message comes from.
        targets: (n_edges,) node it goes to.
        n_nodes: number of nodes; any of them may be isolated.

    Attributes:
        order: (n_edges,) position of each sorted edge among the given ones: features of the given
            edges are brought into the order of this object by `features[order]`.
        sources, targets: the sorted edges.
        starts: (n_nodes + 1,) where the edges of each target begin.
    """

    def __init__(self, sources: "torch.Tensor", targets: "torch.Tensor", n_nodes: int) -> None:
        import torch

        self.n_nodes = n_nodes
        self.order = torch.argsort(targets * n_nodes + sources)
        self.sources, self.targets = sources[self.order], targets[self.order]
        self.starts = _starts(self.targets, n_nodes)

    @cached_property
    def by_source(self) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
        """The same edges the other way round, for gradients: (starts, targets, permutation)."""
        import torch

        permutation = torch.argsort(self.sources * self.n_nodes + self.targets)
        return _starts(self.sources, self.n_nodes), self.targets[permutation], permutation


def _starts(nodes: "torch.Tensor", n_nodes: int) -> "torch.Tensor":
    import torch

    counts = torch.bincount(nodes, minlength=n_nodes)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


class MessagePassing(ABC):
    """The three operations that attention needs, on one graph."""

    def __init__(self, adjacency: Adjacency) -> None:
        self.adjacency = adjacency

    @abstractmethod
    def pair_sum(self, source: "torch.Tensor", target: "torch.Tensor") -> "torch.Tensor":
        """Per edge, the source's value plus the target's: (n_nodes, H) x 2 -> (n_edges, H)."""

    @abstractmethod
    def softmax(self, logits: "torch.Tensor") -> "torch.Tensor":
        """Softmax of (n_edges, H) over the edges of each target."""

    @abstractmethod
    def weighted_sum(self, features: "torch.Tensor", weights: "torch.Tensor") -> "torch.Tensor":
        """Per target, the sum of weight x source's features.

        Args:
            features: (n_nodes, H, D).
            weights: (n_edges, H).

        Returns:
            (n_nodes, H, D); zeros for a node without an edge.
        """


def attend(
    graph: MessagePassing,
    features: "torch.Tensor",
    source_scores: "torch.Tensor",
    target_scores: "torch.Tensor",
    edge_scores: "torch.Tensor | None" = None,
    *,
    slope: float = 0.2,
) -> "torch.Tensor":
    """Graph attention: softmax(LeakyReLU(source + target) + edge) weights the neighbours.

    Args:
        graph: back end, bound to the edges.
        features: (n_nodes, H, D) what the sources send.
        source_scores: (n_nodes, H).
        target_scores: (n_nodes, H).
        edge_scores: (n_edges, H) in the order of the adjacency, or None.
        slope: negative slope of LeakyReLU.

    Returns:
        (n_nodes, H, D).

    Source:
        Velickovic et al., "Graph Attention Networks", ICLR 2018, equations 1-4.
    """
    from torch.nn import functional

    logits = functional.leaky_relu(graph.pair_sum(source_scores, target_scores), slope)
    if edge_scores is not None:
        logits = logits + edge_scores
    return graph.weighted_sum(features, graph.softmax(logits))


class DGLMessagePassing(MessagePassing):
    """The kernels of DGL (the wheel on the index computes on the CPU only)."""

    def __init__(self, adjacency: Adjacency) -> None:
        super().__init__(adjacency)
        dgl = _dgl()
        self._ops: Any = dgl.ops
        # Edge numbers follow the order given here, so they are those of the adjacency.
        self._graph = dgl.graph((adjacency.sources, adjacency.targets), num_nodes=adjacency.n_nodes)

    def pair_sum(self, source: "torch.Tensor", target: "torch.Tensor") -> "torch.Tensor":
        summed: torch.Tensor = self._ops.u_add_v(self._graph, source, target)
        return summed

    def softmax(self, logits: "torch.Tensor") -> "torch.Tensor":
        shares: torch.Tensor = self._ops.edge_softmax(self._graph, logits)
        return shares

    def weighted_sum(self, features: "torch.Tensor", weights: "torch.Tensor") -> "torch.Tensor":
        summed: torch.Tensor = self._ops.u_mul_e_sum(self._graph, features, weights.unsqueeze(-1))
        return summed


def choose_backend(wanted: Literal["auto", "dgl", "torch"], device: "torch.device") -> Backend:
    """The back end for `device`.

    `auto` is `torch`: it needs no DGL, runs on every device, and is several times faster than
    DGL's kernels on the CPU (docs/experiments.md).

    Raises:
        ConfigError: `dgl` was asked for on a device that this build of DGL cannot use.
    """
    if wanted == "dgl" and device.type != "cpu":
        raise ConfigError(
            f"graph.backend is 'dgl' on device {device}.",
            expected="the CPU: the DGL wheel has no CUDA kernels.",
            fix="set graph.backend to 'torch' or 'auto', or graph.device to 'cpu'.",
        )
    return "torch" if wanted == "auto" else wanted


def bind(backend: Backend, adjacency: Adjacency) -> MessagePassing:
    """The operations of `backend` on the edges of `adjacency`."""
    if backend == "dgl":
        return DGLMessagePassing(adjacency)
    from recsys_core.graph.sparse import TorchMessagePassing

    return TorchMessagePassing(adjacency)


def _dgl() -> Any:
    # Without this, the import of dgl writes a file into the home folder and prints.
    os.environ.setdefault("DGLBACKEND", "pytorch")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dgl 1.1.3 uses deprecated parts of setuptools and torch
        import dgl
    return dgl
