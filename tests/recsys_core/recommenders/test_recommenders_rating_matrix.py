import polars as pl

from recsys_core.columns import ITEM, RATING, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.rating_matrix import weigh


def test_items_come_by_popularity_and_the_last_row_is_empty():
    train = pl.DataFrame({USER: [7, 7, 9], ITEM: [3, 2, 3], RATING: [5.0, 3.0, 4.0]})
    weights = weigh(train, pl.Series(ITEM, [1, 2, 3]), RatingScale())
    assert weights.items[ITEM].to_list() == [3, 2, 1]
    assert weights.matrix.toarray().tolist() == [[1, 0.5, 0], [1, 0, 0], [0, 0, 0]]
    assert weights.rows(pl.Series(USER, [9, 8, 7])).tolist() == [1, 2, 0]
