import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.columns import EVIDENCE, ITEM, POLARITY, POSITION, RATING, TIMESTAMP, TURN, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.profiles.config import UserProfileConfig
from recsys_core.profiles.history_selection import LIKED, select_history, select_ratings
from tests.recsys_core.profiles.profiles_world import ratings

DATA = RatingScale()


def picked(frame: pl.DataFrame, config: UserProfileConfig, data: RatingScale = DATA) -> list[tuple]:
    return select_history(frame, data, config).select(ITEM, POLARITY, TURN).rows()


def test_the_most_telling_come_first() -> None:
    rows = [(1, 1, 4.0, 50), (1, 2, 5.0, 10), (1, 3, 5.0, 20), (1, 4, 5.0, None), (1, 5, 3.0, 90)]
    found = [item for item, *_ in picked(ratings(rows), UserProfileConfig())]
    assert found == [3, 2, 4, 1]  # rating, then time (unknown last); the neutral 5 is left out


def test_positions_tell_what_is_recent_where_no_time_is_known() -> None:
    frame = ratings([(1, item, 5.0, None) for item in (1, 2, 3)])
    placed = frame.with_columns(pl.Series(POSITION, [5, 9, None], pl.Int64))
    assert [item for item, *_ in picked(placed, UserProfileConfig())] == [2, 1, 3]
    timed = placed.with_columns(pl.Series(TIMESTAMP, [None, 1, 2], pl.Int64))
    assert [item for item, *_ in picked(timed, UserProfileConfig())] == [3, 2, 1]


def test_turns_alternate_in_batches() -> None:
    liked = [(1, item, 5.0, 100 - item) for item in range(1, 5)]
    disliked = [(1, item, 1.0, 100 - item) for item in range(11, 14)]
    config = UserProfileConfig(batch_size=2, max_liked=3)
    assert picked(ratings(liked + disliked), config) == [
        (1, "liked", 1), (2, "liked", 1), (11, "disliked", 2), (12, "disliked", 2),
        (3, "liked", 3), (13, "disliked", 4),
    ]  # fmt: skip


def test_without_likes_the_first_turn_shows_dislikes() -> None:
    assert picked(ratings([(1, 1, 2.0, 0)]), UserProfileConfig()) == [(1, "disliked", 1)]


@pytest.mark.parametrize(("low", "high"), [(0.0, 10.0), (0.0, 1.0)])
def test_another_scale(low: float, high: float) -> None:
    data = RatingScale.between(low, high)
    rows = [(1, 1, high, 0), (1, 2, low, 0), (1, 3, (low + high) / 2, 0)]
    assert picked(ratings(rows), UserProfileConfig(), data) == [(1, "liked", 1), (2, "disliked", 2)]


def test_string_ids_and_empty_input() -> None:
    frame = ratings([("u", "b", 5.0, None), ("u", "a", 5.0, None)], id_type=pl.String)
    assert select_history(frame, DATA, UserProfileConfig())[ITEM].to_list() == ["a", "b"]
    empty = select_history(frame.clear(), DATA, UserProfileConfig())
    assert (empty.height, empty.columns) == (0, list(EVIDENCE))


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 4), st.integers(0, 30)),
        st.tuples(st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0]), st.none() | st.integers(0, 9)),
        max_size=60,
    ),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(1, 4),
)
def test_limits_order_and_turns(given_ratings: dict, most: int, least: int, size: int) -> None:
    frame = ratings([(*key, *value) for key, value in given_ratings.items()])
    config = UserProfileConfig(max_liked=most, max_disliked=least, batch_size=size)
    found = select_history(frame, DATA, config)
    assert found.equals(select_history(frame.reverse(), DATA, config))  # input order is nothing
    assert found.join(frame, on=[USER, ITEM, RATING], how="anti").is_empty()
    for _, rows in found.group_by(USER):
        counts = rows.group_by(POLARITY).len().rows()
        assert all(n <= (most if polarity == LIKED else least) for polarity, n in counts)
        turns = rows[TURN].unique().sort().to_list()
        assert turns == list(range(1, len(turns) + 1))
        batches = rows.group_by(TURN).agg(pl.col(POLARITY).n_unique(), pl.len())
        assert batches[POLARITY].max() == 1
        assert batches["len"].max() <= size


RATED = st.lists(
    st.tuples(
        st.integers(1, 60), st.sampled_from([1.0, 2.0, 3.0, 3.6, 4.0, 5.0]),
        st.none() | st.integers(0, 5),
    ),
    max_size=40, unique_by=lambda one: one[0],
)  # fmt: skip


@given(RATED, st.integers(1, 4), st.sampled_from([3.6, 4.0]))
def test_one_persons_ratings_are_selected_as_in_a_table(rated, size: int, like_from: float) -> None:
    config = UserProfileConfig(batch_size=size, max_liked=5, max_disliked=4)
    scale = RatingScale.between(1, 5, like_from=like_from)
    table = ratings([(1, *one) for one in rated])
    times = [float("nan") if one is None else float(one) for _, _, one in rated]
    as_stored = np.array([one for _, one, _ in rated], np.float32).tolist()
    given_rows = list(zip([one for one, *_ in rated], as_stored, times, strict=True))
    assert select_ratings(given_rows, scale, config) == picked(table, config, scale)
