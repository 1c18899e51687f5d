"""Runs of ratings: cut by hand, whatever the order of the rows, and none of unknown time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.graph.components.dot_products import ease as module
from recsys_core.graph.components.dot_products.ease import EaseComponent, ease_component
from recsys_core.graph.components.dot_products.rating_sessions import LENGTH, MOST, rating_sessions
from tests.graph_world import CONFIGS, edges_of, spec_of


def rows(matrix: object) -> list[list[int]]:
    """Columns of each row, sorted."""
    return sorted(np.flatnonzero(row).tolist() for row in matrix.toarray())  # type: ignore[attr-defined]


def test_runs_follow_time_and_overlap_by_half() -> None:
    times = np.arange(12)[::-1]  # the last item was rated first
    found = rating_sessions(edges_of([3] * 12, range(12), 5, times), np.ones(12, np.float32), 12)
    assert LENGTH == 10
    assert rows(found) == sorted([[*range(2, 12)], [0, 1], [*range(7, 12)], [*range(7)]])


def test_users_do_not_share_runs_and_each_edge_keeps_its_value() -> None:
    values = np.array([1, 0.5, 1, 0], np.float32)
    found = rating_sessions(edges_of([0, 0, 1, 1], [0, 1, 1, 2], 5, [1, 2, 1, 2]), values, 3)
    kinds = {tuple(row) for row in found.toarray().tolist()}
    assert kinds == {(1, 0.5, 0), (0, 1, 0)}


def test_what_was_rated_at_one_moment_stays_together_and_too_much_of_it_tells_nothing() -> None:
    ones = np.ones(2 * MOST, np.float32)
    together = rating_sessions(edges_of([0] * 15, range(15), 5, 7.0), ones[:15], 15)
    assert rows(together) == [[*range(15)]] * 2
    imported = rating_sessions(
        edges_of([0] * (MOST + 1), range(MOST + 1), 5, 7.0), ones[: MOST + 1], 99
    )
    assert imported.shape == (0, 99)


def test_ratings_of_unknown_time_are_in_none() -> None:
    times = [1.0, np.nan, 2.0]
    found = rating_sessions(edges_of([0, 0, 0], [0, 1, 2], 5, times), np.ones(3, np.float32), 3)
    assert rows(found) == [[0, 2]] * 2
    assert rating_sessions(edges_of([0, 0], [0, 1], 5), np.ones(2, np.float32), 3).shape == (0, 3)
    assert rating_sessions(edges_of([], [], []), np.ones(0, np.float32), 3).shape == (0, 3)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=120), st.randoms())
def test_every_rating_is_in_two_runs_whatever_the_order(
    given_rows: list[tuple[int, int]], random: object
) -> None:
    items = np.arange(len(given_rows))
    users, times = (np.array([row[n] for row in given_rows], int) for n in (0, 1))
    ones = np.ones(len(items), np.float32)
    found = rating_sessions(edges_of(users, items, 5, times), ones, len(items) or 1)
    sizes = np.diff(found.indptr)
    assert (sizes > 0).all()
    assert (sizes <= MOST).all()
    if len(found.indices) == 2 * len(items):  # nothing was left out
        assert (np.asarray(found.sum(axis=0)).ravel()[: len(items)] == 2).all()
    order = np.array(sorted(items, key=lambda _: random.random()), int)  # type: ignore[attr-defined]
    again = rating_sessions(
        edges_of(users[order], items[order], 5, times[order]), ones, len(items) or 1
    )
    assert rows(again) == rows(found)


def test_the_regression_of_likes_learns_from_them(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def scores() -> np.ndarray:
        prepared = ease_component(spec_of(CONFIGS["best"]))
        assert not isinstance(prepared, str)
        settings = {name: ladder.values[0] for name, ladder in prepared.grid.items()}
        part = prepared.fit(settings)
        assert isinstance(part, EaseComponent)
        return part.rated @ part.items.T

    with_them = scores()
    none = lambda edges, values, n_items: rating_sessions(edges.where([]), values[:0], n_items)  # noqa: E731
    monkeypatch.setattr(module, "rating_sessions", none)
    assert not np.allclose(with_them, scores())
