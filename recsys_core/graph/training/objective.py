"""What an epoch minimises: targets and negatives of a set of edges, turned into one loss."""

from collections.abc import Callable
from typing import Final

import torch

from recsys_core.columns import BPR_LOSS, COSINE_LOSS
from recsys_core.errors import DataError
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import Edges, Floats, InteractionGraph
from recsys_core.graph.model.csr import CSR
from recsys_core.graph.training.losses import (
    bpr,
    cosine_alignment,
    pair_cosines,
    pair_scores,
    softmax_over_items,
)
from recsys_core.interactions.feedback import RatingScale, rating_weights
from recsys_core.interactions.negative_sampling import (
    NegativeSampler,
    PopularNegatives,
    RobustNegatives,
    Sampler,
)

_CELLS: Final = 32_000_000
"""Scores of a step of the softmax; where users x items are more, items are sampled."""
_LEAST_SAMPLED: Final = 1_500
"""Items that are sampled at least."""
POPULARITY_EXPONENT: Final = 0.75
"""Popularity negatives are drawn by this power of an item's ratings (word2vec's)."""
DISLIKED_SHARE: Final = 0.5
"""Share of the robust negatives of a user with dislikes that are disliked items."""

Parts = dict[str, float]
Objective = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, Parts]]
"""Vectors of users and items -> the loss, and its parts for the curves."""

_NO_LIKES: Final = "ratings at or above data.positive; lower it if the scale is another one."


def target_weights(ratings: Floats, config: GraphConfig, data: RatingScale) -> Floats:
    """1 for liked, `neutral_weight` for neutral, 0 for disliked ratings, (n,) -> (n,)."""
    return rating_weights(ratings, data, config.neutral_weight)


def build_objective(
    graph: InteractionGraph,
    config: GraphConfig,
    data: RatingScale,
    device: torch.device,
    generator: torch.Generator,
) -> Objective:
    """The loss of the preset on the edges of `graph`.

    Raises:
        DataError: there is no liked edge, so there is nothing to learn from.
    """
    check_likes(graph, data)
    if config.loss == "softmax":
        return _softmax(graph, config, data, device, generator)
    return _ranking(graph, config, data, device, generator)


def check_likes(graph: InteractionGraph, data: RatingScale) -> None:
    """Refuse a graph with nothing to learn from.

    Raises:
        DataError: there is no liked edge.
    """
    if not len(graph.edges.liked(data)):
        raise DataError(
            f"None of the {len(graph.edges)} training ratings is {data.like_from:g} or more.",
            expected="some liked interactions to learn from.",
            fix=f"check {_NO_LIKES}",
        )


def _softmax(
    graph: InteractionGraph,
    config: GraphConfig,
    data: RatingScale,
    device: torch.device,
    generator: torch.Generator,
) -> Objective:
    edges = graph.edges.by_user()
    values = target_weights(edges.ratings, config, data)
    users, items = pairs_of(edges.where(values > 0), device)
    targets = CSR.of_sorted(users, items, (graph.n_users, graph.n_items))
    weights = torch.from_numpy(values[values > 0]).to(device)
    sampled = max(_LEAST_SAMPLED, _CELLS // max(1, graph.n_users))

    def objective(
        user_vectors: torch.Tensor, item_vectors: torch.Tensor
    ) -> tuple[torch.Tensor, Parts]:
        sample = None
        if sampled < graph.n_items:
            drawn = torch.randperm(graph.n_items, generator=generator, device=device)
            sample = drawn[:sampled].sort().values
        return softmax_over_items(user_vectors, item_vectors, targets, weights, sample), {}

    return objective


def _ranking(
    graph: InteractionGraph,
    config: GraphConfig,
    data: RatingScale,
    device: torch.device,
    generator: torch.Generator,
) -> Objective:
    shape = (graph.n_users, graph.n_items)
    users, items = pairs_of(graph.edges.liked(data).by_user(), device)
    liked = CSR.of_sorted(users, items, shape)
    sampler = build_sampler(graph, config, data, device)

    def objective(
        user_vectors: torch.Tensor, item_vectors: torch.Tensor
    ) -> tuple[torch.Tensor, Parts]:
        negatives, kept = sampler.draw(users, generator)
        unknown = CSR.of_sorted(users[kept], negatives, shape)
        return ranking_loss(config, user_vectors, item_vectors, liked, unknown, kept)

    return objective


def ranking_loss(
    config: GraphConfig,
    user_vectors: torch.Tensor,
    item_vectors: torch.Tensor,
    liked: CSR,
    unknown: CSR,
    kept: torch.Tensor,
) -> tuple[torch.Tensor, Parts]:
    """BPR and cosine alignment (paper 2.2).

    Args:
        config: their weights.
        user_vectors: (n_users, d).
        item_vectors: (n_items, d).
        liked: n places of a matrix of users x items.
        unknown: m places, the negative of each liked one that has one.
        kept: (m,) which of the liked ones those are.
    """
    positive = pair_scores(user_vectors, item_vectors, liked)
    negative = pair_scores(user_vectors, item_vectors, unknown)
    ranking = bpr(positive[kept], negative)
    alignment = cosine_alignment(pair_cosines(positive, user_vectors, item_vectors, liked))
    loss = config.bpr_weight * ranking + config.cosine_weight * alignment
    return loss, {BPR_LOSS: ranking.item(), COSINE_LOSS: alignment.item()}


def build_sampler(
    graph: InteractionGraph, config: GraphConfig, data: RatingScale, device: torch.device
) -> Sampler:
    """The negatives of the configuration; every edge of `graph` is known, whatever its rating."""
    known, n_users = pairs_of(graph.edges.by_user(), device), graph.n_users
    if config.negative_sampling == "popularity":
        return PopularNegatives(
            *known, n_users=n_users, n_items=graph.n_items, exponent=POPULARITY_EXPONENT
        )
    unknown = NegativeSampler(*known, n_users=n_users, n_items=graph.n_items)
    if config.negative_sampling == "uniform":
        return unknown
    told = pairs_of(graph.edges.disliked(data).by_user(), device)
    return RobustNegatives(unknown, *told, n_users=n_users, share=DISLIKED_SHARE)


def pairs_of(edges: Edges, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Users and items of the edges, in their order."""
    return torch.from_numpy(edges.users).to(device), torch.from_numpy(edges.items).to(device)
