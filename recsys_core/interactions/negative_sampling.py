"""Exact negative sampling for ranking losses: uniform, by popularity, or in part from dislikes.

A negative of a user is an item the user has not interacted with. All are drawn at once, on the
device, without rejection. The unknown items of a user are counted by rank: the r-th one is `r + j`,
where j is how many of the user's known items s_0 < s_1 < ... satisfy s_j - j <= r; a binary search
answers that for every positive.
"""

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

_AT_ONCE: Final = 32_768
"""Draws per block on the CPU: what torch does with one thread and in the cache. The many small
steps of the search are not worth waking threads for."""
_PARTS: Final = 2**20
"""Integer weight of an item of degree one."""
_WHOLE: Final = 2**52
"""Bound of a user's sum of weights: float64 tells all integers below it apart."""
_KEYS: Final = 2**62


class Sampler(Protocol):
    """Draws negatives."""

    def draw(
        self, users: "torch.Tensor", generator: "torch.Generator"
    ) -> tuple["torch.Tensor", "torch.Tensor"]:
        """A negative for every entry of `users` (n,).

        Returns:
            (negatives, kept): `kept` (m,) are the positions in `users` that have one, `negatives`
            (m,) their items.
        """


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
            # Below the number of unknown items: float64 rounds up from 2^53 on only.
            count = self._unknown.index_select(0, users[some])
            negatives[some] = self._unknown_items(users[some], chance[some] * count)
        kept = torch.nonzero(self._unknown.index_select(0, users) > 0).squeeze(1)
        return (negatives, kept) if len(kept) == len(users) else (negatives[kept], kept)

    def unknown_counts(self) -> npt.NDArray[np.int64]:
        """(n_users,) items that each user does not know."""
        counts: npt.NDArray[np.int64] = self._unknown.cpu().numpy()
        return counts

    def draw_with_numpy(
        self, users: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """As `draw`, with numpy's random numbers; each of `users` must have an unknown item."""
        import torch

        ranks = rng.integers(0, self.unknown_counts()[users])
        items = self._unknown_items(torch.from_numpy(users), torch.from_numpy(ranks))
        return items.numpy().astype(np.int64)

    def _unknown_items(self, users: "torch.Tensor", rank: "torch.Tensor") -> "torch.Tensor":
        """For each of `users` (n,) the unknown item of this rank (n,) among the user's unknown."""
        rank = rank.to(self._keys.dtype)
        goal = (users * self._n_items).to(rank.dtype) + rank
        first = self._starts.index_select(0, users).to(rank.dtype)
        place = first.clone()
        # Halving steps within the user's own keys; `searchsorted` would look through all of them.
        for step in self._steps:
            place.add_(self._keys[step - 1 :].index_select(0, place) <= goal, alpha=step)
        return rank + (place - first)


class PopularNegatives:
    """Unknown items, each with a chance proportional to a power of its number of ratings.

    The items stand on a line, each as long as its weight. The known items s_0 < s_1 < ... of a
    user cut gaps into it: what is unknown before s_j has the length G_j = C(s_j) - (weights of
    s_0 ... s_(j-1)), C being the weights of all items before. A point r on the user's unknown line
    is the point r + (weights of the known items with G_j <= r) on the line of all items. Weights
    are integers, so that this is exact: two binary searches, no draw is repeated.

    An item that nobody has rated weighs next to nothing: it is drawn where nothing else is left.

    Args:
        users: (n,) user of every known pair; a pair may be there twice.
        items: (n,) item of every known pair.
        n_users: number of users.
        n_items: number of items.
        exponent: of the number of ratings; 0 is uniform, 1 proportional.

    Source:
        Mikolov et al., "Distributed Representations of Words and Phrases", 2013, section 2.2, for
        the power of the frequency.
    """

    def __init__(
        self,
        users: "torch.Tensor",
        items: "torch.Tensor",
        *,
        n_users: int,
        n_items: int,
        exponent: float,
    ) -> None:
        import torch

        pairs = users * n_items + items
        known, owners, degrees, self._first = distinct(pairs, n_users, n_items)
        of = known - owners * n_items
        weights = _weights(torch.bincount(of, minlength=n_items), exponent, n_users)
        self._ends = weights.cumsum(0)
        self._total = int(self._ends[-1])
        taken = torch.cat([weights.new_zeros(1), weights[of].cumsum(0)])
        self._taken = taken  # weights of the known pairs before each, over all users
        own = taken[:-1] - taken[self._first[owners]]
        self._keys = owners * self._total + (self._ends - weights)[of] - own
        self._unknown = self._total - (taken[self._first + degrees] - taken[self._first])

    def draw(
        self, users: "torch.Tensor", generator: "torch.Generator"
    ) -> tuple["torch.Tensor", "torch.Tensor"]:
        """One unknown item for every entry of `users` (n,) who does not know them all.

        Returns:
            (negatives, kept), as `Sampler.draw`.
        """
        import torch

        kept = torch.nonzero(self._unknown.index_select(0, users) > 0).squeeze(1)
        some = users.index_select(0, kept)
        point = (_chance(some, generator) * self._unknown.index_select(0, some)).long()
        gaps = torch.searchsorted(self._keys, some * self._total + point, right=True)
        skipped = self._taken.index_select(0, gaps) - self._taken[self._first.index_select(0, some)]
        return torch.searchsorted(self._ends, point + skipped, right=True), kept


class RobustNegatives:
    """A share of negatives from what the user disliked, the others from what nobody knows of them.

    A user without dislikes has unknown items only; one who knows every item has dislikes only.

    Args:
        unknown: draws unknown items.
        users: (n,) user of every disliked pair, sorted.
        items: (n,) item of every disliked pair.
        n_users: number of users.
        share: chance of a dislike, for a user who has some.
    """

    def __init__(
        self,
        unknown: Sampler,
        users: "torch.Tensor",
        items: "torch.Tensor",
        *,
        n_users: int,
        share: float,
    ) -> None:
        import torch

        self._others, self._share, self._items = unknown, share, items
        self._counts = torch.bincount(users, minlength=n_users)
        self._first = self._counts.cumsum(0) - self._counts

    def draw(
        self, users: "torch.Tensor", generator: "torch.Generator"
    ) -> tuple["torch.Tensor", "torch.Tensor"]:
        """A disliked or an unknown item for every entry of `users` (n,) who has one or the other.

        Returns:
            (negatives, kept), as `Sampler.draw`.
        """
        import torch

        others, found = self._others.draw(users, generator)
        negatives = torch.full_like(users, -1).index_copy_(0, found, others)
        counts = self._counts.index_select(0, users)
        told = (counts > 0) & ((_chance(users, generator) < self._share) | (negatives < 0))
        place = (_chance(users, generator) * counts).long() + self._first.index_select(0, users)
        negatives[told] = self._items.index_select(0, place[told])
        kept = torch.nonzero(negatives >= 0).squeeze(1)
        return negatives[kept], kept


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


def _weights(degrees: "torch.Tensor", exponent: float, n_users: int) -> "torch.Tensor":
    """(n_items,) integers of at least 1, in proportion to degree ** exponent."""
    shares = degrees.double().pow(exponent)
    shares[degrees == 0] = 0.0 if exponent else 1.0
    room = min(_WHOLE, _KEYS // max(1, n_users)) // 2
    return (shares * min(_PARTS, room / max(1.0, float(shares.sum())))).long().clamp(min=1)


def _chance(users: "torch.Tensor", generator: "torch.Generator") -> "torch.Tensor":
    import torch

    return torch.rand(len(users), generator=generator, device=users.device, dtype=torch.float64)
