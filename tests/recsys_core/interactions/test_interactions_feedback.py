import numpy as np
import polars as pl
import pytest

from recsys_core.columns import RATING
from recsys_core.interactions.feedback import RatingScale, rating_weight, rating_weights


@pytest.mark.parametrize(
    ("config", "ratings", "weights"),
    [
        (RatingScale(), [1, 2, 3, 4, 5], [0, 0, 0.5, 1, 1]),
        (RatingScale.between(0, 1), [0, 0.25, 0.3, 0.75, 1], [0, 0, 0.5, 1, 1]),
        (RatingScale.between(0, 10, like_from=3.6), [3.5, 3.6, 2.5], [0.5, 1, 0]),
        # One threshold for both: what is liked stays liked.
        (RatingScale.between(0, 1, like_from=1, dislike_from=1), [0, 1], [0, 1]),
    ],
)
def test_ratings_weigh_as_configured(config, ratings, weights):
    table = pl.DataFrame({RATING: pl.Series(ratings, dtype=pl.Float32)})
    assert table.select(rating_weight(config)).to_series().to_list() == weights
    array = rating_weights(table[RATING].to_numpy(), config)
    assert array.dtype == np.float32
    assert array.tolist() == weights
