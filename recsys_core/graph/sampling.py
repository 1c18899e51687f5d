"""Negative items for ranking losses, all at once and without rejection.

A negative of a user is an item the user has not interacted with. The unknown items of a user are
counted by rank: the r-th one is `r + j`, where j is how many of the user's known items
s_0 < s_1 < ... satisfy s_j - j <= r. One binary search answers it for every positive, exactly and
uniformly, and no draw ever has to be repeated.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class NegativeSampler:
    """Draws unknown items uniformly.

    Args:
        users: (n,) user of every known pair: any rating, training and validation.
        items: (n,) item of every known pair; a pair may be there twice.
        n_users: number of users.
        n_items: number of items.
    """

    def __init__(
        self, users: "torch.Tensor", items: "torch.Tensor", *, n_users: int, n_items: int
    ) -> None:
        import torch

        known = torch.unique(users * n_items + items)  # sorted by user, then item
        owners = torch.div(known, n_items, rounding_mode="floor")
        degrees = torch.bincount(owners, minlength=n_users)
        self._starts = degrees.cumsum(0) - degrees
        position = torch.arange(len(known), device=known.device) - self._starts[owners]
        self._keys = known - position  # owner * n_items + (s_j - j): still sorted
        self._unknown = n_items - degrees
        self._n_items = n_items

    def draw(
        self, users: "torch.Tensor", generator: "torch.Generator"
    ) -> tuple["torch.Tensor", "torch.Tensor"]:
        """One unknown item for every entry of `users` (n,).

        Args:
            users: (n,) user numbers; sorted ones are several times faster to serve.
            generator: source of randomness, on the device of the sampler.

        Returns:
            (negatives, kept): `kept` (m,) are the positions in `users` that have a negative,
            `negatives` (m,) their items. A user who knows every item has none and is left out.
        """
        import torch

        unknown = self._unknown.index_select(0, users)
        chance = torch.rand(
            len(users), generator=generator, device=users.device, dtype=torch.float64
        )
        rank = (chance * unknown).long()  # < unknown: float64 rounds up from 2^53 on only
        found = torch.searchsorted(self._keys, users * self._n_items + rank, right=True)
        negatives = rank + found - self._starts.index_select(0, users)
        kept = torch.nonzero(unknown > 0).squeeze(1)
        return (negatives, kept) if len(kept) == len(users) else (negatives[kept], kept)
