"""Attention over the edges of a graph, behind one small interface with two back ends.

`dgl` uses the kernels of the Deep Graph Library; `torch` needs nothing but torch (see `sparse`).
Both take the same `Adjacency`, number the edges alike and agree to rounding. Neither ever holds a
tensor of edges x heads x hidden. This is the only module that imports dgl.
"""

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from recsys_core.errors import ConfigError
from recsys_core.graph.model.message_graph import Adjacency, MessagePassing

if TYPE_CHECKING:
    import torch

Backend = Literal["dgl", "torch"]


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
    """The kernels of DGL (the wheel on the package index computes on the CPU only)."""

    def __init__(self, adjacency: Adjacency) -> None:
        super().__init__(adjacency)
        dgl = load_dgl()
        self._ops: Any = dgl.ops
        # Edge numbers follow the order given here, so they are those of the adjacency.
        edges = {("source", "sends", "target"): (adjacency.sources, adjacency.targets)}
        nodes = {"source": adjacency.n_nodes, "target": adjacency.n_targets}
        self._graph = dgl.heterograph(edges, nodes)

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
    why_not = _dgl_on(device.type) if wanted == "dgl" and device.type != "cpu" else None
    if why_not is not None:
        raise ConfigError(
            f"graph.backend is 'dgl' on device {device}, but this build of DGL refuses: {why_not}",
            expected="a CUDA build of DGL that goes with this torch, or the CPU.",
            fix="set graph.backend to 'torch' or 'auto', or graph.device to 'cpu'.",
        )
    return "torch" if wanted == "auto" else wanted


@cache
def _dgl_on(device: str) -> str | None:
    """Why this build of DGL cannot compute there; None where it can. A graph is moved to ask."""
    dgl = load_dgl()
    try:
        dgl.graph(([0], [0])).to(device)
    except Exception as error:  # DGLError, or whatever its C library raises
        return str(error).strip().splitlines()[0]
    return None


def bind(backend: Backend, adjacency: Adjacency) -> MessagePassing:
    """The operations of `backend` on the edges of `adjacency`."""
    if backend == "dgl":
        return DGLMessagePassing(adjacency)
    from recsys_core.graph.model.sparse_ops import TorchMessagePassing

    return TorchMessagePassing(adjacency)


def load_dgl() -> Any:
    """The module `dgl`.

    Raises:
        ConfigError: it is not installed, or does not go with this torch.
    """
    # Without this, the import of dgl writes a file into the home folder and prints.
    os.environ.setdefault("DGLBACKEND", "pytorch")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dgl 1.1.3 uses deprecated parts of setuptools and torch
        try:
            import dgl
        except (ImportError, OSError) as error:
            raise ConfigError(
                f"DGL cannot be imported: {error}",
                expected="dgl 1.1.3, for the back end `dgl` and for sampled neighbours.",
                fix="install it, or set graph.backend to 'torch' and graph.batch_edges to 0.",
            ) from error
    return dgl
