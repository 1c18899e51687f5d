"""Waves of time beside the network: counted by hand, and only where times are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.graph.components.dot_products.temporal_popularity import (
    MOST,
    WEEK,
    Windows,
    lifts,
    temporal_popularity,
)
from recsys_core.graph.interaction_graph import Edges, no_attributes
from tests.graph_world import (
    CONFIGS,
    N_USERS,
    edges_of,
    planted,
    spec_of,
    spec_with,
)

BEST = CONFIGS["best"]


def test_windows_are_weeks_from_the_first_rating() -> None:
    start = 880_000_000.0
    times = start + WEEK * np.array([0, 0.9, 1.1, 7.5])
    windows = Windows.over(times)
    assert windows == Windows(start=start, width=WEEK, count=8)
    counts = windows.counted(np.array([0, 0, 0, 1]), times, 3)
    assert counts[0].tolist() == [2, 1, 0, 0, 0, 0, 0, 0]
    assert counts[1].tolist() == [0, 0, 0, 0, 0, 0, 0, 1]
    assert not counts[2].any()


def test_what_comes_later_counts_as_now_and_an_unknown_time_nowhere() -> None:
    windows = Windows(start=0.0, width=WEEK, count=3)
    times = np.array([-5 * WEEK, 99 * WEEK, np.nan])
    assert windows.counted(np.zeros(3, np.int64), times, 1).tolist() == [[1, 0, 1]]


@given(st.lists(st.floats(0, 2e9) | st.just(np.nan), max_size=30))
def test_every_known_time_has_its_window_and_there_are_never_many(times: list[float]) -> None:
    given_times = np.array(times, float)
    windows = Windows.over(given_times)
    known = given_times[np.isfinite(given_times)]
    if windows is None:
        assert len(known) == 0 or np.ptp(known) < WEEK
        return
    assert 2 <= windows.count <= MOST
    assert windows.width >= WEEK
    assert windows.counted(np.zeros(len(times), np.int64), given_times, 1).sum() == len(known)
    last = (known.max() - windows.start) // windows.width
    assert last == windows.count - 1


def test_an_item_is_lifted_when_it_is_rated_more_than_its_share() -> None:
    counts = np.full((3, 20), 4.0)
    counts[0, 5] += 40  # a wave
    counts[2] = 0
    found = lifts(counts)
    assert found[0].argmax() == 5
    assert found[0, 5] > 0 > found[0, 15]
    assert found[1, 5] < 0, "the others have less of that week"
    assert not found[2].any(), "an item without ratings has no lift"


def test_nothing_is_lifted_where_nothing_changes() -> None:
    assert np.abs(lifts(np.outer([1.0, 5.0, 30.0], np.ones(12)))).max() < 1e-6


def test_a_users_score_is_the_mean_lift_of_the_weeks_of_their_ratings() -> None:
    spec = spec_of(BEST)
    prepared = temporal_popularity(spec)
    assert not isinstance(prepared, str)
    part = prepared.fit({})
    edges = spec.graph.edges
    scores = part.users(edges, no_attributes(N_USERS)) @ part.items.T
    one = edges.where(edges.users == 3)
    weeks = ((one.times - edges.times.min()) // WEEK).astype(int)
    wanted = part.items[:, weeks].mean(1)
    np.testing.assert_allclose(scores[3], wanted, atol=1e-6)
    assert not scores[-1].any(), "who has not rated has no time"
    assert not scores[:, -1].any(), "an item that nobody rated has no lift"


@pytest.mark.parametrize("times", [None, 880_000_000.0])
def test_without_times_or_within_a_week_there_is_none(times: float | None) -> None:
    edges = planted()[0].edges
    none = "all known times lie within a week"
    assert temporal_popularity(spec_with(edges_of(edges.users, edges.items, 5, times))) == none
    assert temporal_popularity(spec_with(Edges.empty())) == none
