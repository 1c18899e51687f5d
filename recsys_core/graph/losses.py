"""The losses: BPR and cosine alignment (paper 2.2), and a softmax over all items.

Whatever touches users x items or pairs x hidden goes in blocks with a gradient of its own, so
that memory stays bounded for any size of the data.
"""

from typing import Any, Final

import torch
from torch.nn import functional

_CELLS: Final = 32_000_000
"""Numbers that a block holds at once (128 MB)."""


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


def pair_scores(
    user_vectors: torch.Tensor,
    item_vectors: torch.Tensor,
    users: torch.Tensor,
    items: torch.Tensor,
) -> torch.Tensor:
    """Dot products of the pairs (users, items), each (n,), without an (n, d) tensor.

    Up to 32 million scores the whole matrix is computed and the pairs are picked from it, which
    is faster than gathering vectors; beyond, pairs are gathered block by block.

    Args:
        user_vectors: (n_users, d).
        item_vectors: (n_items, d).
        users: (n,) user of each pair.
        items: (n,) item of each pair.
    """
    if len(user_vectors) * len(item_vectors) <= _CELLS:
        scores = user_vectors @ item_vectors.T
        return scores.view(-1).index_select(0, users * len(item_vectors) + items)
    arguments = (user_vectors, item_vectors, users, items)
    dots: torch.Tensor = _PairDots.apply(*arguments)  # type: ignore[no-untyped-call]
    return dots


def softmax_over_items(
    user_vectors: torch.Tensor,
    item_vectors: torch.Tensor,
    users: torch.Tensor,
    items: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Weighted mean of -log softmax(score of the pair among all items of the user).

    Args:
        user_vectors: (n_users, d).
        item_vectors: (n_items, d).
        users: (n,) user of each target pair, sorted.
        items: (n,) item of each target pair; no pair twice.
        weights: (n,) weight of each target pair, not all zero.
    """
    arguments = (user_vectors, item_vectors, users, items, weights)
    loss: torch.Tensor = _Softmax.apply(*arguments)  # type: ignore[no-untyped-call]
    return loss


class _PairDots(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        user_vectors: torch.Tensor,
        item_vectors: torch.Tensor,
        users: torch.Tensor,
        items: torch.Tensor,
    ) -> torch.Tensor:
        ctx.save_for_backward(user_vectors, item_vectors, users, items)
        parts = [
            (user_vectors.index_select(0, some) * item_vectors.index_select(0, what)).sum(1)
            for some, what in _pair_blocks(users, items, user_vectors.shape[1])
        ]
        return torch.cat(parts) if parts else user_vectors.new_zeros(0)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        user_vectors, item_vectors, users, items = ctx.saved_tensors
        to_users, to_items = torch.zeros_like(user_vectors), torch.zeros_like(item_vectors)
        start = 0
        for some, what in _pair_blocks(users, items, user_vectors.shape[1]):
            upstream = gradient[start : start + len(some)].unsqueeze(1)
            to_users.index_add_(0, some, upstream * item_vectors.index_select(0, what))
            to_items.index_add_(0, what, upstream * user_vectors.index_select(0, some))
            start += len(some)
        return to_users, to_items, None, None


def _pair_blocks(
    users: torch.Tensor, items: torch.Tensor, width: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    step = max(1, _CELLS // width)
    return [
        (users[start : start + step], items[start : start + step])
        for start in range(0, len(users), step)
    ]


class _Softmax(torch.autograd.Function):
    """Computes the gradient with the loss: each block of scores is made once and thrown away."""

    @staticmethod
    def forward(
        ctx: Any,
        user_vectors: torch.Tensor,
        item_vectors: torch.Tensor,
        users: torch.Tensor,
        items: torch.Tensor,
        weights: torch.Tensor,
    ) -> torch.Tensor:
        n_users, n_items = len(user_vectors), len(item_vectors)
        step = max(1, _CELLS // n_items)
        weights = weights / weights.sum()
        per_user = weights.new_zeros(n_users).index_add_(0, users, weights)
        borders = torch.arange(0, n_users + step, step, device=users.device)
        ends = torch.searchsorted(users, borders).tolist()
        to_users, to_items = torch.empty_like(user_vectors), torch.zeros_like(item_vectors)
        loss = user_vectors.new_zeros(())
        for block, start in enumerate(range(0, n_users, step)):
            rows, pairs = slice(start, start + step), slice(ends[block], ends[block + 1])
            scores = user_vectors[rows] @ item_vectors.T
            places = (users[pairs] - start) * n_items + items[pairs]
            log_sum = scores.logsumexp(1, keepdim=True)
            loss += (per_user[rows] * log_sum.squeeze(1)).sum()
            loss -= (weights[pairs] * scores.view(-1)[places]).sum()
            slope = scores.sub_(log_sum).exp_().mul_(per_user[rows].unsqueeze(1))
            slope.view(-1)[places] -= weights[pairs]
            to_users[rows] = slope @ item_vectors
            to_items += slope.T @ user_vectors[rows]
        ctx.save_for_backward(to_users, to_items)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        to_users, to_items = ctx.saved_tensors
        return gradient * to_users, gradient * to_items, None, None, None
