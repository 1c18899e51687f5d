"""Lists without training: those of the run for known users, and clear answers for all others."""

import numpy as np
import polars as pl
import pytest

from recsys_core.columns import (
    AGE,
    EXPLANATION,
    ITEM,
    POSITION,
    RANK,
    RATING,
    TIMESTAMP,
    USER,
)
from recsys_core.errors import DataError
from recsys_core.serving import recommend, visitors_of
from recsys_core.serving.people import person, rated_rows
from recsys_core.serving.person import People
from recsys_core.serving.visitors import FOLDED_IN, KNOWN, NOTHING_KNOWN
from tests.served_world import WITHOUT, model, world

DAY = 86_400


def ratings(*rows: tuple[str, str, float, int | None]) -> pl.DataFrame:
    schema = {USER: pl.String, ITEM: pl.String, RATING: pl.Float32, TIMESTAMP: pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


NEW = ratings(
    ("a", "film-00", 10.0, 10 * DAY), ("a", "film-04", 9.0, 11 * DAY),
    ("a", "film-01", 1.0, 12 * DAY),
    ("b", "film-02", 5.0, 10 * DAY), ("b", "film-06", 5.0, 12 * DAY),
    ("c", "film-01", 8.0, None), ("c", "film-05", 2.0, None), ("c", "film-09", 10.0, None),
)  # fmt: skip


@pytest.mark.parametrize("attributes", [True, False])
@pytest.mark.parametrize("order", [TIMESTAMP, POSITION, None])
def test_known_users_get_the_lists_of_the_run(order, attributes):
    made, _ = world(order, attributes)
    served = model(order, attributes)
    everybody = visitors_of(served, served.user_ids)
    assert set(everybody.status) == {KNOWN}
    lists = served.lists(everybody, 7)
    scores = _by_hand(served, made)
    for user, some in lists.group_by(USER):
        row = scores[served.user_ids.to_list().index(user[0])]
        expected = np.argsort(-row, kind="stable")[:7]
        assert some.sort(RANK)[ITEM].to_list() == served.item_ids.gather(expected).to_list()


def _by_hand(served, made):
    """Scores of everybody at once, as the step `candidates` makes them."""
    from recsys_core.graph.training.score_sum import histories_of, item_scores
    from tasks.graph import read_graph

    nodes = read_graph(made.parts["graph"])
    known = nodes.edges_of(made.ratings)
    histories = histories_of(known, (nodes.n_users, nodes.n_items), 0.5, served.scale)
    scores = served.user_vectors @ served.item_vectors.T
    maps = served.item_model
    scores += item_scores(
        maps, maps.rows(histories), nodes.attributes is not None, np.arange(nodes.n_users)
    )
    scores[known.users, known.items] = -np.inf
    scores[:, (served.item_ids == WITHOUT).to_numpy()] = -np.inf
    return scores


def test_a_user_is_placed_alike_alone_and_among_others():
    served = model()
    together = served.vectors(visitors_of(served, ratings=NEW).located(served))
    for at, user in enumerate("abc"):
        # All of b's ratings are alike, and c's have no times: neither may change the others.
        alone = visitors_of(served, ratings=NEW.filter(pl.col(USER) == user))
        np.testing.assert_allclose(
            served.vectors(alone.located(served))[0], together[at], atol=1e-5
        )
        both = served.scores(visitors_of(served, ratings=NEW).located(served))[at]
        np.testing.assert_allclose(served.scores(alone.located(served))[0], both, atol=1e-4)


def test_lists_hold_nothing_known_unavailable_or_excluded():
    served = model()
    barred = served.items[ITEM].is_in(["film-08", "film-12"]).to_numpy()
    found = served.lists(visitors_of(served, served.user_ids, NEW), 60, barred)
    assert not {WITHOUT, "film-08", "film-12"} & set(found[ITEM])
    known = pl.concat([served.histories.select(USER, ITEM), NEW.select(USER, ITEM)])
    assert found.join(known, on=[USER, ITEM], how="semi").is_empty()
    assert found[USER].n_unique() == served.user_ids.len() + 3


def test_a_known_user_with_a_new_rating_is_folded_in_with_all_ratings():
    served = model()
    new = ratings(("u01", "film-20", 10.0, None))
    assert "film-20" not in served.history_of(pl.Series(USER, ["u01"]))[ITEM]
    found = visitors_of(served, ratings=new)
    assert found.status == [FOLDED_IN]
    assert found.history.height == served.history_of(pl.Series(USER, ["u01"])).height + 1
    last = found.history.sort(TIMESTAMP)[-1]
    assert last[ITEM].to_list() == ["film-20"], "a rating without a time is the latest"
    assert "film-20" not in served.lists(found, 60)[ITEM]


def test_the_last_of_several_ratings_counts():
    served = model()
    twice = ratings(("a", "film-00", 1.0, 5), ("a", "film-00", 9.0, 7), ("a", "film-00", 2.0, 6))
    found = visitors_of(served, ratings=twice)
    assert found.history[RATING].to_list() == [9.0]
    untimed = ratings(("a", "film-00", 1.0, None), ("a", "film-00", 3.0, None))
    assert visitors_of(served, ratings=untimed).history[RATING].to_list() == [3.0]


def test_ten_thousand_ratings_are_a_list_of_what_is_left():
    served = model()
    rng = np.random.default_rng(0)
    films = [f"film-{n:02}" for n in rng.integers(0, 50, 10_000)]
    many = ratings(*[("a", film, float(rng.integers(1, 11)), n) for n, film in enumerate(films)])
    answers = recommend(served, visitors_of(served, ratings=many), k=60)
    assert set(answers.recommendations[ITEM]) == {f"film-{n:02}" for n in range(50, 60)}


@pytest.mark.parametrize(
    ("given", "note"),
    [
        (ratings(("a", "no such film", 9.0, 1), ("a", "nor this", 9.0, 2)), "2 ratings are of"),
        (ratings(), "get what is popular"),
    ],
)
def test_of_whom_nothing_is_known_gets_what_is_popular(given, note):
    served = model()
    who = pl.DataFrame({USER: ["a"]})
    answers = recommend(served, visitors_of(served, ratings=given, attributes=who), k=5)
    assert answers.status == {"a": NOTHING_KNOWN}
    assert any(note in one for one in answers.notes)
    popular = np.argsort(-served.item_model.newcomers, kind="stable")
    assert answers.recommendations.height == 5
    first = answers.recommendations[ITEM].to_list()
    vectors = served.vectors(visitors_of(served, attributes=who).located(served))
    scores = served.item_model.newcomers + (vectors @ served.item_vectors.T)[0]
    scores[(served.item_ids == WITHOUT).to_numpy()] = -np.inf
    assert first == served.item_ids.gather(np.argsort(-scores, kind="stable")[:5]).to_list()
    assert len(set(first) & set(served.item_ids.gather(popular[:10]))) >= 3


def test_attributes_place_who_has_rated_nothing():
    served = model()
    who = pl.DataFrame({USER: ["young", "old"], AGE: [20, 60]})
    found = visitors_of(served, attributes=who)
    assert found.status == [FOLDED_IN, FOLDED_IN]
    one, other = served.vectors(found.located(served))
    assert not np.allclose(one, other)
    known = visitors_of(served, served.user_ids[:1])
    np.testing.assert_allclose(found.attributes[0], known.attributes[0], atol=1e-6)


def test_strangers_are_refused_by_name():
    with pytest.raises(DataError, match="1 users are not known to the model, such as 'nobody'"):
        visitors_of(model(), pl.Series(USER, ["u01", "nobody"]))


@pytest.mark.parametrize("order", [TIMESTAMP, POSITION, None])
def test_one_persons_list_is_that_of_the_tables(order):
    served = model(order)
    people = People(served)
    answers = recommend(served, visitors_of(served, served.user_ids[:9], NEW), k=8)
    for user in [*served.user_ids[:9], "a", "b", "c"]:
        rows = answers.recommendations.filter(pl.col(USER) == user)
        if user in served.known_users:
            found = people.of_user(user, 8)
        else:
            own = NEW.filter(pl.col(USER) == user).select(ITEM, RATING, TIMESTAMP).rows()
            found = people.of_ratings(own, 8)
        assert [one.item for one in found.entries] == rows[ITEM].to_list()
        assert [one.reason for one in found.entries] == rows[EXPLANATION].to_list()
        assert found.status == answers.status[user]
    more = visitors_of(served, ratings=ratings(("u01", "film-20", 10.0, None)))
    expected = recommend(served, more, k=8).recommendations[ITEM].to_list()
    found = people.of_ratings([("film-20", 10.0, None)], 8, "u01")
    assert [one.item for one in found.entries] == expected


def test_a_persons_ratings_are_checked_row_by_row():
    served = model()
    rows = [{"title": "Noir Story No. 0", "rating": 9}, {"item_id": "film-01", "rating": 2}]
    assert rated_rows(served, rows) == [("film-00", 9.0, None), ("film-01", 2.0, None)]
    table, user = person(served, rows)
    assert table[USER].to_list() == [user, user]
    assert user not in served.known_users
    wrong = [{"title": "Noir Story No. 0", "rating": 11}, {"item_id": "x", "rating": 1}, {"a": 1}]
    with pytest.raises(DataError) as told:
        rated_rows(served, wrong)
    for seen in ("Rating 1: The rating is 11.", "Rating 2: The model has no item 'x'", "Rating 3:"):
        assert seen in told.value.seen
    with pytest.raises(DataError, match="at most 10,000"):
        rated_rows(served, [{}] * 10_001)


def test_new_ratings_follow_the_positions_of_known_ones():
    """A model of data without times: what came since is later than all that training saw."""
    served = model(POSITION)
    before = served.history_of(pl.Series(USER, ["u01"]))
    assert served.order == POSITION
    new = ratings(("u01", "film-20", 10.0, 7 * DAY), ("u01", "film-24", 10.0, None))
    edges = visitors_of(served, ratings=new).edges(served)
    assert np.isfinite(edges.times).all()
    later = served.item_ids.gather(edges.items[edges.times > before[POSITION].max()])
    assert set(later) == {"film-20", "film-24"}
    told = new.with_columns(pl.Series(POSITION, [before[POSITION].max() + 9, -3]))
    edges = visitors_of(served, ratings=told).edges(served)
    first, last = served.item_ids.gather(edges.items[[edges.times.argmin(), edges.times.argmax()]])
    assert (first, last) == ("film-24", "film-20"), "positions of the data's own numbering count"
    of_one = People(served)
    assert np.isfinite(of_one._times).all(), "lists of known users read the order, too"
    given = [("film-20", 10.0, 7 * DAY), ("film-24", 10.0, None)]
    expected = recommend(served, visitors_of(served, ratings=new), k=8)
    found = [one.item for one in of_one.of_ratings(given, 8, "u01").entries]
    assert found == expected.recommendations[ITEM].to_list()
