"""Directed maps against sums written out by hand and loops over places."""

import numpy as np
import pytest

from recsys_core.errors import DataError
from recsys_core.graph.components.histories import Histories
from recsys_core.graph.components.item_to_item.transitions import (
    directed_transitions,
    past_and_future,
    past_to_future,
)


def sequences(*rows: list[int], n_items: int, order: bool = True) -> Histories:
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    items = np.array([item for row in rows for item in row])
    places = np.array([place for row in rows for place in range(len(row))], float)
    shuffled = np.random.default_rng(0).permutation(len(users))
    return Histories(
        users=users[shuffled], items=items[shuffled], shape=(len(rows), n_items),
        weights=np.ones(len(users), np.float32), liked=np.ones(len(users), np.bool_),
        order=places[shuffled] if order else None,
    )  # fmt: skip


def test_transitions_fade_with_the_steps_and_count_less_backwards() -> None:
    histories = sequences([0, 1, 2], [0, 2], n_items=4)
    found = directed_transitions(histories, steps=2, decay=0.5, backward=0.1, power=0.5)
    expected = np.zeros((4, 4))
    expected[0, 1] = 1.0 / 2**0.5  # item 0 was rated twice
    expected[0, 2] = (0.5 + 1.0) / 2**0.5  # two places later, and right after
    expected[1, 2], expected[1, 0] = 1.0, 0.1
    expected[2, 1] = 0.1 / 2**0.5
    expected[2, 0] = (0.1 * 0.5 + 0.1) / 2**0.5
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)


def test_an_item_does_not_follow_itself_and_users_do_not_follow_one_another() -> None:
    found = directed_transitions(
        sequences([0, 0], [1], n_items=2), steps=3, decay=0.5, backward=1.0, power=0.0
    )
    assert found.nnz == 0


def test_what_weighs_nothing_is_no_place_of_the_sequence() -> None:
    histories = sequences([0, 1, 2], n_items=3)
    disliked = Histories(
        users=histories.users, items=histories.items, shape=histories.shape,
        weights=(histories.items != 1).astype(np.float32), liked=histories.liked,
        order=histories.order,
    )  # fmt: skip
    found = directed_transitions(disliked, steps=1, decay=0.5, backward=0.0, power=0.0)
    assert found.toarray().tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


def cuts(rows: list[list[int]], n_items: int, decay: float):
    past, future = [], []
    for row in rows:
        for cut in range(len(row)):
            s, t = np.zeros(n_items), np.zeros(n_items)
            for place, item in enumerate(row):
                if place < cut and decay ** (cut - 1 - place) >= 0.01:
                    s[item] += decay ** (cut - 1 - place)
                if place >= cut > 0 and decay ** (place - cut) >= 0.01:
                    t[item] += decay ** (place - cut)
            past.append(s)
            future.append(t)
    return np.array(past), np.array(future)


def drawn_rows(seed: int = 0, n_items: int = 8) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [list(rng.permutation(n_items)[: rng.integers(1, 7)]) for _ in range(40)]


@pytest.mark.parametrize("decay", [0.3, 0.8])
def test_every_cut_has_what_came_before_and_after(decay) -> None:
    rows = drawn_rows()
    past, future = past_and_future(sequences(*rows, n_items=8), decay)
    expected_past, expected_future = cuts(rows, 8, decay)
    np.testing.assert_allclose(past.toarray(), expected_past, rtol=1e-5)
    np.testing.assert_allclose(future.toarray(), expected_future, rtol=1e-5)


def test_past_to_future_is_the_ridge_regression_on_the_other_items() -> None:
    rows = drawn_rows(1)
    (found,) = past_to_future(sequences(*rows, n_items=8), [3.0], decay=0.6, size=100, width=100)
    found = found.toarray()
    past, future = cuts(rows, 8, 0.6)
    gram, product = past.T @ past, past.T @ future
    for item in range(8):
        others = np.delete(np.arange(8), item)
        others = others[product[others, item] > 0]
        system = gram[np.ix_(others, others)] + 3.0 * np.eye(len(others))
        expected = np.linalg.solve(system, product[others, item])
        np.testing.assert_allclose(found[others, item], expected, atol=1e-5)


def test_without_an_order_there_are_no_transitions() -> None:
    histories = sequences([0, 1], n_items=2, order=False)
    with pytest.raises(DataError, match="timestamps or positions"):
        directed_transitions(histories, steps=1, decay=0.5, backward=0.0, power=0.0)
