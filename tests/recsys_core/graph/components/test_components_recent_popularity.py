import numpy as np
import pytest

from recsys_core.errors import DataError
from recsys_core.graph.components.histories import Histories
from recsys_core.graph.components.item_to_item.recent_popularity import (
    popularity,
    recent_popularity,
)


def histories(times: list[float] | None) -> Histories:
    return Histories(
        users=np.array([0, 1, 2]), items=np.array([0, 0, 1]), shape=(3, 3),
        weights=np.array([1, 0.5, 1], np.float32), liked=np.ones(3, np.bool_),
        times=None if times is None else np.array(times),
    )  # fmt: skip


def test_popularity_is_the_sum_of_the_weights_to_a_power() -> None:
    np.testing.assert_allclose(popularity(histories(None), 0.5), [1.5**0.5, 1.0, 0.0], rtol=1e-6)


def test_a_rating_counts_half_after_each_half_life() -> None:
    # The span is 100 seconds, so a half-life of a quarter is 25 of them.
    found = recent_popularity(histories([0.0, 50.0, 100.0]), 0.25, 1.0)
    np.testing.assert_allclose(found, [1.0 * 0.5**4 + 0.5 * 0.5**2, 1.0, 0.0], rtol=1e-6)


def test_ratings_of_one_moment_count_in_full() -> None:
    found = recent_popularity(histories([7.0, 7.0, 7.0]), 0.25, 1.0)
    np.testing.assert_allclose(found, [1.5, 1.0, 0.0])


def test_without_times_nothing_is_recent() -> None:
    with pytest.raises(DataError, match="column of timestamps"):
        recent_popularity(histories(None), 0.5, 1.0)
