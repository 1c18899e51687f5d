"""The losses: BPR and cosine alignment (paper 2.2), and a softmax over all items.

Users x items go in blocks and pairs x hidden as sparse products, each with a gradient of its own,
so that memory stays bounded for any size of the data.
"""

import math
from typing import Any, Final

import torch
from torch.nn import functional

from recsys_core.graph.model.csr import CSR
from recsys_core.graph.model.sparse_ops import exactly, pair_sum, product, sampled

_CELLS: Final = 4_000_000
"""Scores that a block holds at once: 16 MB, near the cache."""
_CELLS_ON_DEVICE: Final = 64_000_000
"""The same on other devices, which want large products (256 MB)."""
_TINY: Final = 1e-12
"""Shortest length that a cosine divides by."""


def bpr(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Bayesian personalised ranking: mean of -log sigmoid(positive - negative); 0 of nothing.

    Args:
        positive: (n,) scores of liked pairs.
        negative: (n,) scores of the same users with items they do not know.
    """
    if not len(positive):
        return positive.sum()
    return functional.softplus(negative - positive).mean()


def cosine_alignment(cosines: torch.Tensor) -> torch.Tensor:
    """Mean of 1 - cosine over the liked pairs (n,)."""
    return (1 - cosines).mean()


def pair_scores(user_vectors: torch.Tensor, item_vectors: torch.Tensor, pairs: CSR) -> torch.Tensor:
    """Dot products of the pairs, (n,) in their order, without an (n, d) tensor.

    Args:
        user_vectors: (n_users, d).
        item_vectors: (n_items, d).
        pairs: n places of a matrix of users x items.
    """
    arguments = (user_vectors, item_vectors, pairs)
    dots: torch.Tensor = _PairDots.apply(*arguments)  # type: ignore[no-untyped-call]
    return dots


def pair_cosines(
    dots: torch.Tensor, user_vectors: torch.Tensor, item_vectors: torch.Tensor, pairs: CSR
) -> torch.Tensor:
    """Cosines (n,) of the pairs whose dot products are `dots` (n,); 0 with a zero vector."""
    users, items = (
        -torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_min(_TINY).log()
        for vectors in (user_vectors, item_vectors)
    )
    return dots * pair_sum(pairs, users, items).squeeze(1).exp()


def softmax_over_items(
    user_vectors: torch.Tensor,
    item_vectors: torch.Tensor,
    targets: CSR,
    weights: torch.Tensor,
    sample: torch.Tensor | None = None,
) -> torch.Tensor:
    """Weighted mean of -log softmax(score of the pair among all items of the user).

    With a sample, the sum over all items is estimated by that over a uniform sample of them.

    Args:
        user_vectors: (n_users, d).
        item_vectors: (n_items, d).
        targets: n places of a matrix of users x items.
        weights: (n,) weight of each target, not all zero.
        sample: (m,) items, each once, drawn uniformly; None for all.
    """
    arguments = (user_vectors, item_vectors, targets, weights, sample)
    loss: torch.Tensor = _Softmax.apply(*arguments)  # type: ignore[no-untyped-call]
    return loss


@exactly
class _PairDots(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, user_vectors: torch.Tensor, item_vectors: torch.Tensor, pairs: CSR
    ) -> torch.Tensor:
        ctx.pairs = pairs
        ctx.save_for_backward(user_vectors, item_vectors)
        return sampled(pairs, user_vectors, item_vectors)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        user_vectors, item_vectors = ctx.saved_tensors
        turned, order = ctx.pairs.transposed
        to_users = product(ctx.pairs, gradient, item_vectors)
        to_items = product(turned, gradient.index_select(0, order), user_vectors)
        return to_users, to_items, None


@exactly
class _Softmax(torch.autograd.Function):
    """Computes the gradient with the loss: each block of scores is made once and thrown away."""

    @staticmethod
    def forward(
        ctx: Any,
        user_vectors: torch.Tensor,
        item_vectors: torch.Tensor,
        targets: CSR,
        weights: torch.Tensor,
        sample: torch.Tensor | None,
    ) -> torch.Tensor:
        shares = (weights / weights.sum()).to(user_vectors.dtype)
        per_user = shares.new_zeros(len(user_vectors)).index_add_(0, targets.rows, shares)
        # What pulls towards the targets ...
        turned, order = targets.transposed
        to_users = -product(targets, shares, item_vectors)
        to_items = -product(turned, shares.index_select(0, order), user_vectors)
        loss = (to_users * user_vectors).sum()
        # ... and what pushes away from all items, or from the sample in their place.
        others = item_vectors if sample is None else item_vectors.index_select(0, sample)
        unseen = math.log(len(item_vectors) / len(others))
        pushed = torch.zeros_like(others)
        step = max(1, _cells(user_vectors) // len(others))
        for start in range(0, len(user_vectors), step):
            some = slice(start, start + step)
            scores = user_vectors[some] @ others.T
            highest = scores.amax(1, keepdim=True)
            odds = scores.sub_(highest).exp_()
            total = odds.sum(1, keepdim=True)
            weight = per_user[some, None]
            loss += (weight * (total.log() + highest + unseen)).sum()
            to_users[some] += (odds @ others).mul_(weight / total)
            pushed.addmm_(odds.T, user_vectors[some] * (weight / total))
        if sample is None:
            to_items += pushed
        else:
            to_items.index_add_(0, sample, pushed)
        ctx.save_for_backward(to_users, to_items)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        to_users, to_items = ctx.saved_tensors
        return gradient * to_users, gradient * to_items, None, None, None


def _cells(vectors: torch.Tensor) -> int:
    """Scores that a block holds at once."""
    return _CELLS if vectors.device.type == "cpu" else _CELLS_ON_DEVICE
