"""The message-passing back end that needs nothing but torch, and its two sparse products.

The weighted sum is one sparse-dense product per head, and its gradient another one and a sampled
dense-dense product, so memory grows with edges x heads plus nodes x heads x hidden, never with
their product. Measured against DGL's kernels in docs/experiments.md.
"""

import warnings
from functools import cache
from typing import Any

import torch
from torch.nn import functional

from recsys_core.graph.model.csr import CSR
from recsys_core.graph.model.message_graph import MessagePassing


def product(csr: CSR, values: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    """Sparse times dense, without a gradient: (n_rows, n_columns) @ (n_columns, d).

    Args:
        csr: where the sparse matrix has values.
        values: (n,) the values there.
        dense: (n_columns, d).
    """
    if dense.device.type == "cpu" and dense.shape[1]:
        # The same sum, by a kernel that is half again as fast as MKL's product.
        summed: torch.Tensor = functional.embedding_bag(
            csr.columns, dense, csr.starts, mode="sum",
            per_sample_weights=values, include_last_offset=True,
        )  # fmt: skip
        return summed
    return _csr(csr, values) @ dense


def sampled(csr: CSR, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Dot products of the rows at each place, without a gradient: (n_rows, d), (n_columns, d)."""
    if len(csr) > csr.shape[0] * csr.shape[1]:
        # More places than cells, some of them twice: the kernel refuses that, and all is small.
        cells = (left @ right.T).view(-1)
        return cells.index_select(0, csr.rows * csr.shape[1] + csr.columns)
    places = _csr(csr, left.new_zeros(len(csr)))
    dots: torch.Tensor = torch.sparse.sampled_addmm(places, left, right.T, beta=0.0).values()
    return dots


def row_sums(csr: CSR, values: torch.Tensor) -> torch.Tensor:
    """Sum of the values (n, H) in each row, without a gradient: (n_rows, H)."""
    return _sums(csr.numbers, values, csr.starts)


def column_sums(csr: CSR, values: torch.Tensor) -> torch.Tensor:
    """Sum of the values (n, H) in each column, without a gradient: (n_columns, H)."""
    turned, order = csr.transposed
    return _sums(order, values, turned.starts)


def _sums(order: torch.Tensor, values: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    # Unlike `index_add_`, in a fixed order on every device, and faster.
    summed: torch.Tensor = functional.embedding_bag(
        order, values, starts, mode="sum", include_last_offset=True
    )
    return summed


def pair_sum(csr: CSR, of_row: torch.Tensor, of_column: torch.Tensor) -> torch.Tensor:
    """At each place the row's value plus the column's: (n_rows, H), (n_columns, H) -> (n, H)."""
    summed: torch.Tensor = _PairSum.apply(of_row, of_column, csr)  # type: ignore[no-untyped-call]
    return summed


class TorchMessagePassing(MessagePassing):
    """Sparse products of torch, on any device."""

    def pair_sum(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return pair_sum(self.adjacency.csr, target, source)

    def softmax(self, logits: torch.Tensor) -> torch.Tensor:
        csr = self.adjacency.csr
        shares: torch.Tensor = _RowSoftmax.apply(logits, csr)  # type: ignore[no-untyped-call]
        return shares

    def weighted_sum(self, features: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        csr = self.adjacency.csr
        summed: torch.Tensor = _WeightedSum.apply(features, weights, csr)  # type: ignore[no-untyped-call]
        return summed


def exactly(function: type[torch.autograd.Function]) -> type[torch.autograd.Function]:
    """The function in 32 bits at least, also where CUDA computes in mixed precision.

    Sums over thousands of neighbours need the digits, and sparse kernels know no half precision.
    """
    cast = torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    function.forward = staticmethod(cast(function.forward))  # type: ignore[method-assign]
    back = torch.amp.custom_bwd(function.backward, device_type="cuda")
    function.backward = staticmethod(back)  # type: ignore[method-assign]
    return function


@exactly
class _PairSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, of_row: torch.Tensor, of_column: torch.Tensor, csr: CSR) -> torch.Tensor:
        ctx.csr = csr
        summed = of_row.index_select(0, csr.rows)
        return summed.add_(of_column.index_select(0, csr.columns))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        gradient = gradient.contiguous()
        return row_sums(ctx.csr, gradient), column_sums(ctx.csr, gradient), None


@exactly
class _RowSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, csr: CSR) -> torch.Tensor:
        highest = torch.segment_reduce(logits, "max", offsets=csr.starts, axis=0, unsafe=True)
        shares = (logits - highest.index_select(0, csr.rows)).exp_()
        shares.div_(row_sums(csr, shares).index_select(0, csr.rows))
        ctx.csr = csr
        ctx.save_for_backward(shares)
        return shares

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (shares,), csr = ctx.saved_tensors, ctx.csr
        weighted = shares * gradient
        total = row_sums(csr, weighted).index_select(0, csr.rows)
        return weighted.addcmul_(shares, total, value=-1), None


@exactly
class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, weights: torch.Tensor, csr: CSR) -> torch.Tensor:
        ctx.csr = csr
        ctx.save_for_backward(features, weights)
        result = features.new_empty((csr.shape[0], *features.shape[1:]))
        for head in range(features.shape[1]):
            sent = features[:, head].contiguous()
            result[:, head] = product(csr, weights[:, head].contiguous(), sent)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        features, weights = ctx.saved_tensors
        csr: CSR = ctx.csr
        to_features, to_weights = torch.empty_like(features), torch.empty_like(weights)
        back, permutation = csr.transposed
        turned = weights.index_select(0, permutation)
        for head in range(features.shape[1]):
            upstream = gradient[:, head].contiguous()
            to_features[:, head] = product(back, turned[:, head].contiguous(), upstream)
            to_weights[:, head] = sampled(csr, upstream, features[:, head].contiguous())
        return to_features, to_weights, None


def _csr(csr: CSR, values: torch.Tensor) -> torch.Tensor:
    _quiet()
    return torch.sparse_csr_tensor(
        csr.starts, csr.columns, values.contiguous(), csr.shape, check_invariants=False
    )


@cache
def _quiet() -> None:
    # torch says once per process that CSR tensors are in beta; the first one is made here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor([0, 1], [0], [1.0], (1, 1), check_invariants=False)
