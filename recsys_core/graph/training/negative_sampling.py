"""Which unknown items ranking losses learn from: any, popular ones, or what a user disliked.

All are drawn at once, on the device, and none by trial and error: a known item is never drawn
unless it was drawn on purpose, as a dislike.
"""

from typing import TYPE_CHECKING, Final, Protocol

from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import Bipartite, Edges
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.negative_sampling import NegativeSampler, distinct

if TYPE_CHECKING:
    import torch

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


def build_sampler(
    graph: Bipartite, config: GraphConfig, data: RatingScale, device: "torch.device"
) -> Sampler:
    """The negatives of the configuration; every edge of `graph` is known, whatever its rating."""
    known, n_users = pairs_of(graph.edges.by_user(), device), graph.n_users
    if config.negatives == "popularity":
        exponent = config.popularity_exponent
        return PopularNegatives(*known, n_users=n_users, n_items=graph.n_items, exponent=exponent)
    unknown = NegativeSampler(*known, n_users=n_users, n_items=graph.n_items)
    if config.negatives == "uniform":
        return unknown
    told = pairs_of(graph.edges.disliked(data.dislike_from).by_user(), device)
    return RobustNegatives(unknown, *told, n_users=n_users, share=config.disliked_share)


def pairs_of(edges: Edges, device: "torch.device") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Users and items of the edges, in their order."""
    import torch

    return torch.from_numpy(edges.users).to(device), torch.from_numpy(edges.items).to(device)


def _weights(degrees: "torch.Tensor", exponent: float, n_users: int) -> "torch.Tensor":
    """(n_items,) integers of at least 1, in proportion to degree ** exponent."""
    shares = degrees.double().pow(exponent)
    shares[degrees == 0] = 0.0 if exponent else 1.0
    room = min(_WHOLE, _KEYS // max(1, n_users)) // 2
    return (shares * min(_PARTS, room / max(1.0, float(shares.sum())))).long().clamp(min=1)


def _chance(users: "torch.Tensor", generator: "torch.Generator") -> "torch.Tensor":
    import torch

    return torch.rand(len(users), generator=generator, device=users.device, dtype=torch.float64)
