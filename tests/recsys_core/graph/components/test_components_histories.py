"""Rows of users' histories: ages, inputs, and what is unknown."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.errors import DataError
from recsys_core.graph.components.histories import (
    Histories,
    HistoryInput,
    InputRows,
    UsualRatings,
)
from recsys_core.graph.interaction_graph import Edges


def histories(**changes):
    known = {
        "users": np.array([0, 0, 1, 0, 1]),
        "items": np.array([2, 0, 1, 1, 2]),
        "weights": np.array([1, 0.5, 1, 0, 1], np.float32),
        "liked": np.array([True, False, True, False, True]),
        "shape": (2, 3),
        "ratings": np.array([5, 3, 4, 1, 5], np.float32),
        "order": np.array([10.0, 30.0, 5.0, 20.0, 5.0]),
    }
    return Histories(**(known | changes))


def test_the_age_is_the_number_of_later_pairs_of_the_user() -> None:
    # User 0: item 2 at 10, item 1 at 20, item 0 at 30. User 1: two at the same time, as they stand.
    assert histories().ages().tolist() == [2, 0, 1, 1, 0]


def test_weights_fade_with_the_age() -> None:
    found = InputRows(histories=histories()).matrix(HistoryInput(decay=0.5)).toarray()
    np.testing.assert_allclose(found, [[0.5, 0.0, 1.0 * 0.5**2], [0.0, 0.5, 1.0]])


def test_deviations_are_counted_from_the_usual_rating_in_spreads() -> None:
    rated = histories()
    usual = UsualRatings.of(rated, prior=1.0)
    mean = (5 + 3 + 4 + 1 + 5) / 5
    expected = mean + ((5 - mean) + (5 - mean)) / (2 + 1)
    assert usual.values[2] == pytest.approx(expected)
    rows = InputRows(histories=rated, usual=usual).matrix(HistoryInput(kind="deviations"))
    assert rows[0, 2] == pytest.approx((5 - expected) / usual.spread)
    assert rows[0, 1] < 0 < rows[1, 2]


def test_unary_edges_are_liked_whatever_their_number_is() -> None:
    edges = Edges(
        users=np.array([0, 1]), items=np.array([0, 1]),
        ratings=np.ones(2, np.float32), times=np.array([1.0, np.nan]),
    )  # fmt: skip
    found = Histories.from_edges(edges, (2, 2), weights=np.zeros(2, np.float32), like_from=4.0)
    assert found.liked.all()
    assert found.weights.tolist() == [1.0, 1.0]
    assert found.ratings is None
    assert found.order is None  # one time is unknown


def test_rated_edges_keep_weights_and_order() -> None:
    edges = Edges(
        users=np.array([0, 1]), items=np.array([0, 1]),
        ratings=np.array([2, 5], np.float32), times=np.array([1.0, 3.0]),
    )  # fmt: skip
    weights = np.array([0, 1], np.float32)
    found = Histories.from_edges(edges, (2, 2), weights=weights, like_from=4.0)
    assert found.liked.tolist() == [False, True]
    assert found.order.tolist() == [1.0, 3.0]
    assert found.seen().nnz == 2
    assert found.relevant().nnz == 1


@given(st.lists(st.integers(0, 1), min_size=1, max_size=2, unique=True))
def test_some_users_have_the_rows_they_had(users) -> None:
    whole, wanted = histories(), HistoryInput(decay=0.5)
    some = whole.of_users(np.array(users))
    rows = InputRows(histories=some).matrix(wanted)
    expected = InputRows(histories=whole).matrix(wanted)[users]
    np.testing.assert_array_equal(rows.toarray(), expected.toarray())


def test_what_one_of_two_lacks_is_unknown_of_both() -> None:
    joined = histories().joined(histories(order=None))
    assert len(joined) == 10
    assert joined.order is None
    assert joined.ratings is not None


def test_histories_of_other_shapes_are_not_joined() -> None:
    with pytest.raises(DataError, match="same users and items"):
        histories().joined(histories(shape=(2, 4)))


def test_arrays_of_other_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="2 weights"):
        histories(weights=np.ones(2, np.float32))


def test_without_an_order_nothing_decays_and_a_warning_says_so(caplog) -> None:
    rows = InputRows(histories=histories(order=None))
    with caplog.at_level(logging.WARNING):
        found = rows.matrix(HistoryInput(decay=0.5))
    assert "no order" in caplog.text
    assert (found != rows.matrix(HistoryInput())).nnz == 0


def test_without_ratings_nothing_deviates_and_a_warning_says_so(caplog) -> None:
    usual = UsualRatings(values=np.zeros(3, np.float32), spread=1.0)
    rows = InputRows(histories=histories(ratings=None), usual=usual)
    with caplog.at_level(logging.WARNING):
        assert rows.matrix(HistoryInput(kind="deviations")).nnz == 0
    assert "no ratings" in caplog.text


def test_no_history_at_all_has_no_order_and_warns_of_nothing(caplog) -> None:
    empty = histories().where(np.zeros(5, np.bool_))
    assert InputRows(histories=empty).matrix(HistoryInput(decay=0.5)).nnz == 0
    assert caplog.text == ""


@pytest.mark.parametrize("kind", ["weights", "deviations"])
@pytest.mark.parametrize("decay", [1.0, 0.75, 0.9])
def test_an_input_is_known_by_its_name(kind, decay) -> None:
    wanted = HistoryInput(kind=kind, decay=decay)
    assert HistoryInput.named(wanted.name) == wanted


def test_an_unknown_input_is_refused() -> None:
    with pytest.raises(DataError, match="one of weights, deviations"):
        HistoryInput.named("clicks_decay_0.5")
