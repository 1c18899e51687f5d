"""On data of several shapes the learned sum is not behind EASE whose lambda validation chose."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from recsys_core.columns import ITEM, USER
from recsys_core.evaluation.metrics import hits_of, ndcg
from recsys_core.evaluation.significance import sign_flip
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import Edges, Floats, InteractionGraph
from recsys_core.graph.training.score_sum import histories_of, item_scores
from recsys_core.graph.training.trainer import train
from recsys_core.interactions.feedback import RatingScale, rating_weights
from recsys_core.recommenders.ease import gram_of, regression
from tests.graph_world import edges_of

K = 10
LAMBDAS = (2.0, 8.0, 32.0, 128.0, 512.0)
SMALL = {"hidden": 8, "heads": 2, "effort": "quick"}
TASTES = 6


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Users, items, interactions of each user, and what a rating looks like."""

    users: int
    items: int
    each: int
    scale: RatingScale
    step: float = 1.0


SHAPES = {
    "stars, dense": Shape(users=150, items=100, each=40, scale=RatingScale()),
    "unary, sparse": Shape(users=400, items=200, each=8, scale=RatingScale.implicit()),
    "few users, many items": Shape(
        users=60, items=500, each=50, scale=RatingScale.between(0.5, 5), step=0.5
    ),
    "from 1 to 10": Shape(users=300, items=80, each=15, scale=RatingScale.between(1, 10)),
}


def world(shape: Shape, seed: int = 0) -> tuple[InteractionGraph, Edges, Edges]:
    """Users take what fits their tastes and what is popular, and rate the first of it best."""
    rng = np.random.default_rng(seed)
    tastes = rng.standard_normal((shape.users, TASTES))
    kinds = rng.standard_normal((shape.items, TASTES))
    wish = tastes @ kinds.T / 1.5 + 1.5 * rng.standard_normal(shape.items)
    drawn = wish + rng.gumbel(size=wish.shape)
    items = np.argsort(-drawn, axis=1)[:, : shape.each]
    users = np.repeat(np.arange(shape.users), shape.each)
    fit = np.take_along_axis(wish, items, axis=1) + rng.standard_normal(items.shape)
    rank = fit.argsort(axis=1).argsort(axis=1) / (shape.each - 1)
    low, high = shape.scale.rating_min, shape.scale.rating_max
    ratings = low + np.round(rank * (high - low) / shape.step) * shape.step
    if shape.scale.is_implicit:
        ratings = np.ones_like(rank)
    edges = edges_of(users, items.ravel(), ratings.ravel())
    part = rng.choice(3, len(users), p=[0.7, 0.1, 0.2])
    graph = InteractionGraph(
        user_ids=pl.Series(USER, range(shape.users)), item_ids=pl.Series(ITEM, range(shape.items)),
        edges=edges.where(part == 0),
    )  # fmt: skip
    return graph, edges.where(part == 1), edges.where(part == 2)


def dense(edges: Edges, values: Floats, shape: Shape) -> Floats:
    found = np.zeros((shape.users, shape.items), np.float32)
    found[edges.users, edges.items] = values
    return found


def per_user(scores: Floats, known: Edges, held_out: Edges, shape: Shape) -> Floats:
    """NDCG of every user with a liked held-out item, ranking all items that are not known."""
    scores = scores.copy()
    scores[known.users, known.items] = -np.inf
    liked = held_out.liked(shape.scale)
    relevant = dense(liked, np.ones(len(liked), np.float32), shape) > 0
    top = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    counts = relevant.sum(1)
    some = counts > 0
    hits = np.take_along_axis(relevant, top, axis=1)[some]
    return np.asarray(ndcg(hits_of(hits, counts[some], [K]))[:, 0])


def ease(graph: InteractionGraph, valid: Edges, test: Edges, shape: Shape) -> Floats:
    def matrix(edges: Edges) -> Floats:
        return dense(edges, rating_weights(edges.ratings, shape.scale), shape)

    def scores(edges: Edges, strength: float) -> Floats:
        from scipy import sparse

        rows = sparse.csr_matrix(matrix(edges))
        return np.asarray(rows @ regression(gram_of(rows), strength))

    best = max(
        LAMBDAS,
        key=lambda one: per_user(scores(graph.edges, one), graph.edges, valid, shape).mean(),
    )
    known = graph.edges.joined(valid)
    return per_user(scores(known, best), known, test, shape)


def ours(graph: InteractionGraph, valid: Edges, test: Edges, shape: Shape) -> Floats:
    nothing = [np.zeros((n, 4), np.float32) for n in (shape.users, shape.items)]
    config = GraphConfig.model_validate(SMALL)
    trained = train(graph, valid, *nothing, config, shape.scale, seed=0)
    known, served = graph.edges.joined(valid), trained.served
    assert served.item_model is not None
    size = shape.users, shape.items
    rows = served.item_model.rows(histories_of(known, size, config.neutral_weight, shape.scale))
    scores = served.user_vectors @ served.item_vectors.T
    scores += item_scores(served.item_model, rows, attributes=False, users=np.arange(shape.users))
    return per_user(scores, known, test, shape)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_it_is_not_significantly_behind_tuned_ease(name: str) -> None:
    shape = SHAPES[name]
    graph, valid, test = world(shape)
    found, floor = ours(graph, valid, test, shape), ease(graph, valid, test, shape)
    difference = found - floor
    print(f"{name}: {found.mean():.4f}, EASE {floor.mean():.4f}")
    behind = difference.mean() < 0
    assert not behind or sign_flip(difference, resamples=2000, seed=0) > 0.05
    assert found.mean() > 0.95 * floor.mean()
