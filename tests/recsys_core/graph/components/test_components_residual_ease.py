"""Deviations from usual ratings beside the network, and only where there are any."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_core.graph.components.dot_products.residual_ease import (
    ResidualEase,
    residual_ease,
    shrunk_item_means,
)
from recsys_core.graph.interaction_graph import Edges, no_attributes
from recsys_core.graph.training.spec import TrainingSpec
from recsys_core.interactions.feedback import RatingScale
from tests.graph_world import (
    CONFIGS,
    N_ITEMS,
    N_USERS,
    edges_of,
    planted,
    spec_of,
    spec_with,
)

BEST = CONFIGS["best"]
SETTINGS = {"lambda": 200.0, "likeness": 1.0, "sharpness": 3.0, "rank": 12.0}


def fitted(spec: TrainingSpec) -> ResidualEase:
    prepared = residual_ease(spec)
    assert not isinstance(prepared, str)
    assert prepared.beside, "it ranks nothing alone"
    part = prepared.fit(SETTINGS if spec.item_text.any() else {"lambda": 200.0, "rank": 12.0})
    assert isinstance(part, ResidualEase)
    return part


def test_a_usual_rating_is_a_mean_that_a_rare_item_has_little_say_in() -> None:
    # The mean of all is 3; five ratings of it stand beside an item's own.
    found = shrunk_item_means(edges_of([0, 1, 2, 3, 4, 5], [0] * 5 + [2], [4, 4, 4, 2, 2, 2]), 4)
    np.testing.assert_allclose(found, [3 + 1 / 10, 3, 3 - 1 / 6, 3], rtol=1e-6)


def test_who_rates_like_items_better_than_usual_is_taken_to_like_what_is_like_them() -> None:
    """Two tastes: everybody rates all, those of one taste their half better than the other's."""
    pairs = np.argwhere(np.random.default_rng(0).random((N_USERS, N_ITEMS)) < 0.9)
    mine = pairs[:, 0] % 2 == pairs[:, 1] % 2
    spec = spec_with(edges_of(*pairs.T, np.where(mine, 5, 4)))
    part = fitted(replace(spec, item_text=0 * spec.item_text))
    # Every rating is liked: only by how much tells the tastes apart.
    new = edges_of([0, 0], [0, 1], [5, 4])
    scores = part.users(new, no_attributes(1)) @ part.items.T
    rest = scores[0, 2:]
    assert rest[::2].min() > rest[1::2].max()


def test_the_users_need_not_be_those_of_training_and_it_can_be_repeated() -> None:
    spec = spec_of(BEST)
    one, other = (fitted(spec) for _ in range(2))
    assert np.array_equal(one.rated, other.rated)
    edges = spec.graph.edges
    first, everybody = edges.where(edges.users < 5), one.users(edges, no_attributes(N_USERS))
    assert np.array_equal(one.users(first, no_attributes(5)), everybody[:5])
    assert not one.users(first, no_attributes(6))[5].any()


def test_the_width_of_the_scale_is_of_no_matter() -> None:
    edges = planted()[0].edges
    stars = fitted(spec_with(edges))
    wide = RatingScale.between(0, 100)
    spec = spec_with(replace(edges, ratings=(edges.ratings - 1) * 25))
    percent = fitted(replace(spec, data=wide))
    one = stars.users(edges, no_attributes(N_USERS)) @ stars.items.T
    other = percent.users(spec.graph.edges, no_attributes(N_USERS)) @ percent.items.T
    np.testing.assert_allclose(other, one, atol=1e-4 * np.abs(one).max())


@pytest.mark.parametrize("rating", [1, 5])
def test_where_all_ratings_are_alike_there_is_none(rating: float) -> None:
    edges = planted()[0].edges
    equal = "all ratings are equal"
    assert residual_ease(spec_with(edges_of(edges.users, edges.items, rating))) == equal
    assert residual_ease(spec_with(Edges.empty())) == equal
