"""The message-passing back end that needs nothing but torch.

The weighted sum is one sparse-dense product per head, and its gradient another one and a sampled
dense-dense product, so memory grows with edges x heads plus nodes x heads x hidden, never with
their product. Measured against DGL's kernels in docs/experiments.md.
"""

import warnings
from functools import cache
from typing import Any

import torch

from recsys_core.graph.adjacency import Adjacency, MessagePassing


class TorchMessagePassing(MessagePassing):
    """Sparse products of torch, on any device."""

    def pair_sum(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        edges = self.adjacency
        return source.index_select(0, edges.sources) + target.index_select(0, edges.targets)

    def softmax(self, logits: torch.Tensor) -> torch.Tensor:
        shares: torch.Tensor = _EdgeSoftmax.apply(logits, self.adjacency)  # type: ignore[no-untyped-call]
        return shares

    def weighted_sum(self, features: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        summed: torch.Tensor = _WeightedSum.apply(features, weights, self.adjacency)  # type: ignore[no-untyped-call]
        return summed


class _EdgeSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, edges: Adjacency) -> torch.Tensor:
        highest = logits.new_full((edges.n_nodes, logits.shape[1]), -torch.inf)
        place = edges.targets.unsqueeze(1).expand_as(logits)
        highest.scatter_reduce_(0, place, logits, "amax")
        exponentials = (logits - highest.index_select(0, edges.targets)).exp_()
        shares = exponentials / _sum_per_target(exponentials, edges)
        ctx.edges = edges
        ctx.save_for_backward(shares)
        return shares

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (shares,) = ctx.saved_tensors
        weighted = shares * gradient
        return weighted - shares * _sum_per_target(weighted, ctx.edges), None


def _sum_per_target(values: torch.Tensor, edges: Adjacency) -> torch.Tensor:
    """Sum of (n_edges, H) over each target's edges, given back to every edge."""
    total = values.new_zeros((edges.n_nodes, values.shape[1]))
    return total.index_add_(0, edges.targets, values).index_select(0, edges.targets)


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: torch.Tensor, weights: torch.Tensor, edges: Adjacency
    ) -> torch.Tensor:
        ctx.edges = edges
        ctx.save_for_backward(features, weights)
        result = torch.empty_like(features)
        for head in range(features.shape[1]):
            matrix = _csr(edges.starts, edges.sources, weights[:, head], edges.n_nodes)
            result[:, head] = matrix @ features[:, head].contiguous()
        return result

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        features, weights = ctx.saved_tensors
        edges: Adjacency = ctx.edges
        to_features, to_weights = torch.empty_like(features), torch.empty_like(weights)
        starts, targets, permutation = edges.by_source
        pattern = _csr(edges.starts, edges.sources, torch.zeros_like(weights[:, 0]), edges.n_nodes)
        for head in range(features.shape[1]):
            upstream = gradient[:, head].contiguous()
            back = _csr(starts, targets, weights[permutation, head], edges.n_nodes)
            to_features[:, head] = back @ upstream
            sampled = torch.sparse.sampled_addmm(
                pattern, upstream, features[:, head].T.contiguous(), beta=0.0
            )
            to_weights[:, head] = sampled.values()
        return to_features, to_weights, None


def _csr(
    starts: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, n_nodes: int
) -> torch.Tensor:
    _quiet()
    return torch.sparse_csr_tensor(
        starts, columns, values.contiguous(), (n_nodes, n_nodes), check_invariants=False
    )


@cache
def _quiet() -> None:
    # torch says once per process that CSR tensors are in beta; the first one is made here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor([0, 1], [0], [1.0], (1, 1), check_invariants=False)
