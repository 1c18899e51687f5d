"""Directed edges sorted for message passing, and the interface of the message-passing back ends."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


class Adjacency:
    """Directed edges, sorted by target and then source.

    Args:
        sources: (n_edges,) node each message comes from.
        targets: (n_edges,) node it goes to.
        n_nodes: number of nodes that send; any of them may be isolated.
        n_targets: number of nodes that receive, where it is another: a block of a larger graph.

    Attributes:
        order: (n_edges,) position of each sorted edge among the given ones: features of the given
            edges are brought into the order of this object by `features[order]`.
        sources, targets: the sorted edges.
        starts: (n_targets + 1,) where the edges of each target begin.
        csr: the same as a sparse matrix of targets x sources.
    """

    def __init__(
        self,
        sources: "torch.Tensor",
        targets: "torch.Tensor",
        n_nodes: int,
        n_targets: int | None = None,
    ) -> None:
        import torch

        from recsys_core.graph.model.csr import CSR, index_type, starts_of

        self.n_nodes = n_nodes
        self.n_targets = n_nodes if n_targets is None else n_targets
        self.order = torch.argsort(targets * n_nodes + sources)
        starts = starts_of(targets, self.n_targets)
        self.csr = CSR(starts, sources.index_select(0, self.order), n_nodes)
        self.order = self.order.to(index_type(len(sources)))
        self.sources, self.starts = self.csr.columns, self.csr.starts

    @property
    def targets(self) -> "torch.Tensor":
        """(n_edges,) sorted."""
        return self.csr.rows

    @property
    def degrees(self) -> "torch.Tensor":
        """(n_targets,) edges of each target."""
        return self.starts.diff()


class Pairs(Protocol):
    """Pairs of a source and a target, in a fixed order, as attention sees them."""

    @property
    def n_targets(self) -> int:
        """Number of nodes that receive."""

    @property
    def sources(self) -> "torch.Tensor":
        """(n_edges,) who sends."""

    @property
    def targets(self) -> "torch.Tensor":
        """(n_edges,) who receives."""

    @property
    def degrees(self) -> "torch.Tensor":
        """(n_targets,) edges of each target."""


class MessagePassing(ABC):
    """The three operations that attention needs, on one graph."""

    def __init__(self, adjacency: Adjacency) -> None:
        self.adjacency = adjacency

    @abstractmethod
    def pair_sum(self, source: "torch.Tensor", target: "torch.Tensor") -> "torch.Tensor":
        """Per edge, source's value + target's: (n_nodes, H), (n_targets, H) -> (n_edges, H)."""

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
            (n_targets, H, D); zeros for a node without an edge.
        """


@dataclass(frozen=True, kw_only=True)
class Block:
    """What one layer sees of a graph: edges, and the level of rating of each, in their order."""

    graph: MessagePassing
    levels: "torch.Tensor"
