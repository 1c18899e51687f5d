"""The causes of a visitor's list: drops by placing again, people by counting."""

import numpy as np
import polars as pl
import pytest

from recsys_core import columns as c
from recsys_core.explanations.attribution.kinds import DISLIKED, LIKED, POPULARITY, RATED
from recsys_core.serving import causes, recommend, visitors_of
from tests.served_world import model, world

DAY = 86_400
NEW = pl.DataFrame(
    [("a", "film-00", 10.0, 10 * DAY), ("a", "film-04", 9.0, 11 * DAY),
     ("a", "film-01", 1.0, 12 * DAY), ("b", "film-02", 5.0, 10 * DAY)],
    schema={c.USER: pl.String, c.ITEM: pl.String, c.RATING: pl.Float32, c.TIMESTAMP: pl.Int64},
    orient="row",
)  # fmt: skip


def found(ratings: pl.DataFrame = NEW) -> tuple[pl.DataFrame, pl.DataFrame]:
    served = model()
    visitors = visitors_of(served, ratings=ratings)
    lists = served.lists(visitors, 5)
    return lists, causes.visitor_causes(served, visitors, lists)


def test_a_drop_is_the_score_less_that_without_the_rating():
    served = model()
    lists, table = found()
    c.check(table, c.ATTRIBUTIONS, table="attributions")
    scores = dict(zip(lists.select(c.USER, c.ITEM).iter_rows(), lists[c.SCORE], strict=True))
    rows = table.filter((pl.col(c.USER) == "a") & pl.col(c.CAUSE).is_not_null())
    assert rows.height == 5 * 3
    for item, cause, drop in rows.select(c.ITEM, c.CAUSE, c.DROP).iter_rows():
        rest = NEW.filter((pl.col(c.USER) == "a") & (pl.col(c.ITEM) != cause))
        visitor = visitors_of(served, ratings=rest)
        without = served.scores(visitor.located(served))[0]
        place = served.items[c.ITEM].to_list().index(item)
        assert drop == pytest.approx(scores["a", item] - without[place], abs=1e-4)


def test_kinds_follow_the_ratings_and_people_are_counted():
    served, (made, _) = model(), world()
    _, table = found()
    kinds = dict(table.filter(pl.col(c.USER) == "a").drop_nulls(c.CAUSE)
                 .select(c.CAUSE, c.KIND).iter_rows())  # fmt: skip
    assert kinds == {"film-00": LIKED, "film-04": LIKED, "film-01": DISLIKED}
    assert set(table.filter(pl.col(c.USER) == "b").drop_nulls(c.CAUSE)[c.KIND]) == {RATED}
    likes = made.ratings.filter(pl.col(c.RATING) >= served.scale.like_from)
    fans = {item: set(users) for item, users in likes.group_by(c.ITEM).agg(c.USER).iter_rows()}
    for row in table.iter_rows(named=True):
        own = fans.get(row[c.ITEM], set())
        if row[c.KIND] == LIKED:
            of_cause = fans.get(row[c.CAUSE], set())
            assert (row[c.PEOPLE], row[c.PEOPLE_BOTH]) == (len(of_cause), len(of_cause & own))
        elif row[c.KIND] == POPULARITY:
            assert row[c.PEOPLE] == len(own)


def test_a_long_history_is_asked_about_by_what_the_maps_read_most(monkeypatch):
    monkeypatch.setattr(causes, "_MOST", 2)
    _, table = found()
    asked = table.filter(pl.col(c.USER) == "a").drop_nulls(c.CAUSE)
    assert asked[c.CAUSE].n_unique() == 2


def test_blocks_change_nothing(monkeypatch):
    _, whole = found()
    monkeypatch.setattr(causes, "_EDGES", 1)
    _, parts = found()
    np.testing.assert_allclose(
        whole.drop_nulls(c.DROP)[c.DROP], parts.drop_nulls(c.DROP)[c.DROP], atol=1e-5
    )


def test_reasons_of_visitors_cite_their_strongest_causes():
    served = model()
    answers = recommend(served, visitors_of(served, ratings=NEW), k=5)
    _, table = found()
    best = (
        table.filter((pl.col(c.KIND) == LIKED) & (pl.col(c.DROP) > 0))
        .sort(c.DROP, descending=True)
        .group_by(c.USER, c.ITEM)
        .agg(pl.col(c.CAUSE).head(2))
    )
    strongest = {(user, item): set(causes) for user, item, causes in best.iter_rows()}
    for row in answers.recommendations.iter_rows(named=True):
        assert set(row[c.LIKED_EVIDENCE]) <= strongest.get((row[c.USER], row[c.ITEM]), set())
    of_b = answers.recommendations.filter(pl.col(c.USER) == "b")
    assert (
        of_b[c.EXPLANATION]
        .str.contains("We know no title that you liked|With no title that you liked")
        .all()
    )
