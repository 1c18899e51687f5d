import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys_core.columns import ITEM, RATING, USER
from recsys_core.datasets.config import DataConfig
from recsys_core.recommenders.rating_matrix import rating_weight, top_columns, weigh


@given(
    arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 8)), elements=st.integers(0, 3)),
    st.integers(0, 10),
)
def test_the_top_columns_are_those_of_a_stable_sort(scores, k):
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(top_columns(scores, k), expected)


@pytest.mark.parametrize(
    ("config", "ratings", "weights"),
    [
        (DataConfig().scale, [1, 2, 3, 4, 5], [0, 0, 0.5, 1, 1]),
        (DataConfig(rating_min=0, rating_max=1).scale, [0, 0.25, 0.3, 0.75, 1], [0, 0, 0.5, 1, 1]),
        (DataConfig(rating_min=0, rating_max=10, positive=3.6).scale, [3.5, 3.6, 2.5], [0.5, 1, 0]),
        # One threshold for both: what is liked stays liked.
        (DataConfig(rating_min=0, rating_max=1, positive=1, negative=1).scale, [0, 1], [0, 1]),
    ],
)
def test_ratings_weigh_as_configured(config, ratings, weights):
    table = pl.DataFrame({RATING: pl.Series(ratings, dtype=pl.Float32)})
    assert table.select(rating_weight(config)).to_series().to_list() == weights


def test_items_come_by_popularity_and_the_last_row_is_empty():
    train = pl.DataFrame({USER: [7, 7, 9], ITEM: [3, 2, 3], RATING: [5.0, 3.0, 4.0]})
    weights = weigh(train, pl.Series(ITEM, [1, 2, 3]), DataConfig().scale)
    assert weights.items[ITEM].to_list() == [3, 2, 1]
    assert weights.matrix.toarray().tolist() == [[1, 0.5, 0], [1, 0, 0], [0, 0, 0]]
    assert weights.rows(pl.Series(USER, [9, 8, 7])).tolist() == [1, 2, 0]
