"""The losses: BPR and cosine alignment (paper 2.2), and a softmax over all items."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

_CELLS: Final = 32_000_000
"""Scores, users x items, that the softmax holds at once; beyond, it goes in blocks of users."""


def bpr(positive: "torch.Tensor", negative: "torch.Tensor") -> "torch.Tensor":
    """Bayesian personalised ranking: mean of -log sigmoid(positive - negative).

    Args:
        positive: (n,) scores of liked pairs.
        negative: (n,) scores of the same users with items they do not know.
    """
    from torch.nn import functional

    return functional.softplus(negative - positive).mean()


def cosine_alignment(cosines: "torch.Tensor") -> "torch.Tensor":
    """Mean of 1 - cosine over the liked pairs (n,)."""
    return (1 - cosines).mean()


def pair_scores(
    user_vectors: "torch.Tensor",
    item_vectors: "torch.Tensor",
    users: "torch.Tensor",
    items: "torch.Tensor",
) -> "torch.Tensor":
    """Dot products of the pairs (users, items), each (n,), without an (n, d) tensor.

    Up to 32 million scores the whole matrix is computed and the pairs are picked from it, which
    is faster than gathering vectors; beyond, it goes block by block of pairs, computed again for
    the gradient.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    if len(user_vectors) * len(item_vectors) <= _CELLS:
        scores = user_vectors @ item_vectors.T
        return scores.view(-1).index_select(0, users * len(item_vectors) + items)
    step = max(1, _CELLS // user_vectors.shape[1])
    parts = [
        checkpoint(
            _dots, user_vectors, item_vectors, *pairs, use_reentrant=False, preserve_rng_state=False
        )
        for pairs in zip(torch.split(users, step), torch.split(items, step), strict=True)
    ]
    return torch.cat(parts)


def _dots(
    user_vectors: "torch.Tensor",
    item_vectors: "torch.Tensor",
    users: "torch.Tensor",
    items: "torch.Tensor",
) -> "torch.Tensor":
    return (user_vectors.index_select(0, users) * item_vectors.index_select(0, items)).sum(1)


def softmax_over_items(
    user_vectors: "torch.Tensor",
    item_vectors: "torch.Tensor",
    users: "torch.Tensor",
    items: "torch.Tensor",
    weights: "torch.Tensor",
) -> "torch.Tensor":
    """Weighted mean of -log softmax(score of the pair among all items of the user).

    Beyond 32 million scores it goes block by block and computes them again for the gradient, so
    that memory does not grow with users x items.

    Args:
        user_vectors: (n_users, d).
        item_vectors: (n_items, d).
        users: (n,) user of each target pair, sorted.
        items: (n,) item of each target pair.
        weights: (n,) weight of each target pair, not all zero.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    n_users, n_items = len(user_vectors), len(item_vectors)
    step = max(1, _CELLS // n_items)
    if n_users <= step:
        return _softmax_block(user_vectors, item_vectors, users, items, weights) / weights.sum()
    borders = torch.arange(0, n_users, step, device=users.device)
    ends = [*torch.searchsorted(users, borders).tolist(), len(users)]
    parts = []
    for block, start in enumerate(range(0, n_users, step)):
        rows = slice(ends[block], ends[block + 1])
        part = checkpoint(
            _softmax_block,
            user_vectors[start : start + step],
            item_vectors,
            users[rows] - start,
            items[rows],
            weights[rows],
            use_reentrant=False,
            preserve_rng_state=False,
        )
        parts.append(part)
    return torch.stack(parts).sum() / weights.sum()


def _softmax_block(
    user_vectors: "torch.Tensor",
    item_vectors: "torch.Tensor",
    users: "torch.Tensor",
    items: "torch.Tensor",
    weights: "torch.Tensor",
) -> "torch.Tensor":
    scores = user_vectors @ item_vectors.T
    targets = scores.view(-1).index_select(0, users * len(item_vectors) + items)
    per_user = weights.new_zeros(len(user_vectors)).index_add(0, users, weights)
    return (per_user * scores.logsumexp(1)).sum() - (weights * targets).sum()
