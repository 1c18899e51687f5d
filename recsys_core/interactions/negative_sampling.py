"""Negative items for ranking losses, all at once and without rejection.

A negative of a user is an item the user has not interacted with. The unknown items of a user are
counted by rank: the r-th one is `r + j`, where j is how many of the user's known items
s_0 < s_1 < ... satisfy s_j - j <= r. A binary search answers it for every positive, exactly and
uniformly, and no draw ever has to be repeated.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

_AT_ONCE: Final = 32_768
"""Draws per block on the CPU: what torch does with one thread and in the cache. The many small
steps of the search are not worth waking threads for."""


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

        known, owners, degrees, self._starts = distinct(users * n_items + items, n_users, n_items)
        position = torch.arange(len(known), device=known.device) - self._starts[owners]
        # owner * n_items + (s_j - j): still sorted. Nothing is below the keys that fill up.
        self._keys, self._steps = _padded(known - position, degrees, n_users * n_items)
        self._unknown = n_items - degrees
        self._n_items = n_items

    def draw(
        self, users: "torch.Tensor", generator: "torch.Generator"
    ) -> tuple["torch.Tensor", "torch.Tensor"]:
        """One unknown item for every entry of `users` (n,).

        Args:
            users: (n,) user numbers; sorted ones are faster to serve.
            generator: source of randomness, on the device of the sampler.

        Returns:
            (negatives, kept): `kept` (m,) are the positions in `users` that have a negative,
            `negatives` (m,) their items. A user who knows every item has none and is left out.
        """
        import torch

        chance = torch.rand(
            len(users), generator=generator, device=users.device, dtype=torch.float64
        )
        step = _AT_ONCE if users.device.type == "cpu" else max(1, len(users))
        negatives = torch.empty_like(users)
        for start in range(0, len(users), step):
            some = slice(start, start + step)
            negatives[some] = self._unknown_items(users[some], chance[some])
        kept = torch.nonzero(self._unknown.index_select(0, users) > 0).squeeze(1)
        return (negatives, kept) if len(kept) == len(users) else (negatives[kept], kept)

    def _unknown_items(self, users: "torch.Tensor", chance: "torch.Tensor") -> "torch.Tensor":
        """For each user the unknown item at this share (n,) of the list of its unknown items."""
        # Below the number of unknown items: float64 rounds up from 2^53 on only.
        rank = (chance * self._unknown.index_select(0, users)).to(self._keys.dtype)
        goal = (users * self._n_items).to(rank.dtype) + rank
        first = self._starts.index_select(0, users).to(rank.dtype)
        place = first.clone()
        # Halving steps within the user's own keys; `searchsorted` would look through all of them.
        for step in self._steps:
            place.add_(self._keys[step - 1 :].index_select(0, place) <= goal, alpha=step)
        return rank + (place - first)


def distinct(
    pairs: "torch.Tensor", n_users: int, n_items: int
) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """Known pairs, each once.

    Args:
        pairs: (n,) user * n_items + item; a pair may be there twice.
        n_users: number of users.
        n_items: number of items.

    Returns:
        (pairs, owners, degrees, starts): the distinct pairs sorted by user, then item; the user of
        each; how many each user has (n_users,); and where they begin (n_users,).
    """
    import torch

    known = torch.unique(pairs)
    owners = torch.div(known, n_items, rounding_mode="floor")
    degrees = torch.bincount(owners, minlength=n_users)
    return known, owners, degrees, degrees.cumsum(0) - degrees


def _padded(
    keys: "torch.Tensor", degrees: "torch.Tensor", limit: int
) -> tuple["torch.Tensor", tuple[int, ...]]:
    """Keys below `limit`, in as few bytes as hold it, filled up; and the steps of the search."""
    import torch

    bits = int(degrees.max()).bit_length() if len(degrees) else 0
    kind = torch.int32 if limit <= torch.iinfo(torch.int32).max else torch.int64
    filling = torch.full((1 << bits,), torch.iinfo(kind).max, dtype=kind, device=keys.device)
    return torch.cat([keys.to(kind), filling]), tuple(1 << bit for bit in reversed(range(bits)))
