"""All three kinds of negatives: never an item that the user knows, but for dislikes on purpose."""

from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.columns import ITEM, USER
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import InteractionGraph
from recsys_core.graph.training import objective
from recsys_core.graph.training.objective import build_sampler
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.negative_sampling import (
    NegativeSampler,
    PopularNegatives,
    RobustNegatives,
    Sampler,
)
from tests.graph_world import edges_of

Ratings = dict[tuple[int, int], int]
KINDS = ("uniform", "popularity", "robust")
DRAWS = 40_000


@st.composite
def worlds(draw: st.DrawFn) -> tuple[int, int, Ratings]:
    n_users, n_items = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    pair = st.tuples(st.integers(0, n_users - 1), st.integers(0, n_items - 1))
    return n_users, n_items, draw(st.dictionaries(pair, st.integers(1, 5)))


def sampler(n_users: int, n_items: int, ratings: Ratings, kind: str, share: float = 0.5) -> Sampler:
    pairs = np.array(list(ratings), np.int64).reshape(-1, 2)
    graph = InteractionGraph(
        user_ids=pl.Series(USER, range(n_users)),
        item_ids=pl.Series(ITEM, range(n_items)),
        edges=edges_of(pairs[:, 0], pairs[:, 1], list(ratings.values())),
    )
    config = GraphConfig(preset="paper", negative_sampling=kind)
    with patch.object(objective, "DISLIKED_SHARE", share):
        return build_sampler(graph, config, RatingScale(), torch.device("cpu"))


def drawn(of: Sampler, users: torch.Tensor, seed: int = 0) -> list[tuple[int, int]]:
    negatives, kept = of.draw(users, torch.Generator().manual_seed(seed))
    return list(zip(users[kept].tolist(), negatives.tolist(), strict=True))


@given(worlds(), st.sampled_from(KINDS), st.integers(0, 2**31))
def test_a_known_item_is_drawn_only_as_a_dislike(
    world: tuple[int, int, Ratings], kind: str, seed: int
) -> None:
    n_users, n_items, ratings = world
    pairs = drawn(sampler(*world, kind), torch.arange(n_users).repeat(20), seed)
    assert all(0 <= item < n_items for _, item in pairs)
    known = {pair: rating for pair, rating in ratings.items() if pair in set(pairs)}
    assert kind == "robust" or not known
    assert all(rating <= 2 for rating in known.values())


@given(worlds(), st.sampled_from(KINDS))
def test_who_can_have_a_negative_has_one(world: tuple[int, int, Ratings], kind: str) -> None:
    n_users, n_items, ratings = world
    users = torch.arange(n_users).repeat(5)
    _, kept = sampler(*world, kind).draw(users, torch.Generator().manual_seed(0))

    def possible(user: int) -> bool:
        own = {item: rating for (who, item), rating in ratings.items() if who == user}
        return len(own) < n_items or (kind == "robust" and min(own.values()) <= 2)

    assert kept.tolist() == [n for n, user in enumerate(users.tolist()) if possible(user)]


RATED = {(1, 0): 5, (2, 0): 5, (3, 0): 5, (4, 0): 5, (1, 1): 4, (0, 2): 1, (1, 2): 5, (2, 2): 3}
"""Item 0 has four ratings, item 1 one, item 2 three, item 3 none; user 0 knows item 2."""


def shares(of: Sampler, user: int) -> list[float]:
    users = torch.full((DRAWS,), user)
    pairs = drawn(of, users)
    counts = np.bincount([item for _, item in pairs], minlength=4)
    return list(counts / DRAWS)


@pytest.mark.parametrize("exponent", [0.75, 1.0, 0.0])
def test_popular_items_are_drawn_by_the_power_of_their_ratings(exponent: float) -> None:
    pairs = torch.tensor(sorted(RATED))
    of = PopularNegatives(pairs[:, 0], pairs[:, 1], n_users=5, n_items=4, exponent=exponent)
    first, second, fourth = 4**exponent, 1**exponent, 0.0 if exponent else 1.0
    total = first + second + fourth
    wanted = [first / total, second / total, 0, fourth / total]
    assert shares(of, 0) == pytest.approx(wanted, abs=0.01)


def test_what_nobody_rated_is_drawn_where_nothing_else_is_left() -> None:
    of = sampler(5, 4, RATED, "popularity")
    assert {item for _, item in drawn(of, torch.ones(50, dtype=torch.long))} == {3}


def test_no_ratings_at_all_are_uniform() -> None:
    assert shares(sampler(1, 4, {}, "popularity"), 0) == pytest.approx([1 / 4] * 4, abs=0.01)


def test_many_users_leave_room_for_the_keys() -> None:
    users, items = torch.tensor([0, 2_999_999]), torch.tensor([0, 1])
    of = PopularNegatives(users, items, n_users=3_000_000, n_items=3, exponent=1.0)
    pairs = drawn(of, torch.tensor([0, 2_999_999] * 500))
    assert {user: item for user, item in pairs if item != 2} == {0: 1, 2_999_999: 0}


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_robust_negatives_is_disliked(share: float) -> None:
    found = shares(sampler(5, 4, RATED, "robust", share), 0)
    rest = (1 - share) / 3
    assert found == pytest.approx([rest, rest, share, rest], abs=0.01)


def test_a_user_without_dislikes_has_unknown_items_only() -> None:
    found = shares(sampler(5, 4, RATED, "robust", 1.0), 3)
    assert found == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3], abs=0.01)


def test_one_who_knows_every_item_has_dislikes_only() -> None:
    everything = {(0, 0): 5, (0, 1): 2, (0, 2): 1, (0, 3): 4}
    found = shares(sampler(1, 4, everything, "robust", 0.0), 0)
    assert found == pytest.approx([0, 1 / 2, 1 / 2, 0], abs=0.01)


def test_robust_negatives_stand_on_any_sampler() -> None:
    users, items = torch.tensor([0, 0]), torch.tensor([0, 1])
    unknown = NegativeSampler(users, items, n_users=1, n_items=3)
    of = RobustNegatives(unknown, users[1:], items[1:], n_users=1, share=0.5)
    assert {item for _, item in drawn(of, torch.zeros(100, dtype=torch.long))} == {1, 2}
