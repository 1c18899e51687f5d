"""Titles as people write them, similar items, and items that came after training."""

import numpy as np
import polars as pl
import pytest

from recsys_core import columns as c
from recsys_core.errors import DataError
from recsys_core.serving import new_items, visitors_of
from recsys_core.serving.new_items import placed_items
from recsys_core.serving.similar import closeness, similar_items
from recsys_core.serving.titles import Titles, plain
from tests.served_world import WITHOUT, model

FILMS = Titles(
    items=pl.DataFrame(
        {
            c.ITEM: [1, 2, 3, 4, 5, 6],
            c.TITLE: ["Alien", "Aliens", "Godfather, The", "Psycho", "Psycho", "Amélie (2001)"],
            c.YEAR: [1979, 1986, 1972, 1960, 1998, 2001],
        }
    )
)


@pytest.mark.parametrize(
    ("written", "item"),
    [
        ("alien", 1), ("ALIENS", 2), ("The Godfather", 3), ("godfather", 3), ("amelie", 6),
        ("Psycho (1998)", 5), ("Godfathr", 3), ("  Alien!  ", 1),
    ],
)  # fmt: skip
def test_titles_are_found_as_people_write_them(written, item):
    assert FILMS.item(written) == item


def test_ambiguous_titles_are_answered_with_the_choices():
    with pytest.raises(DataError) as told:
        FILMS.item("Psycho")
    assert "Psycho (1960) [item_id 4]; Psycho (1998) [item_id 5]" in told.value.seen
    with pytest.raises(DataError, match="No title is like 'Xyzzy'"):
        FILMS.item("Xyzzy")
    assert plain("L'Avventura, The (1960)") == plain("the l avventura")


def test_the_search_puts_titles_that_begin_so_first():
    assert [one[c.ITEM] for one in FILMS.search("ali")] == [1, 2]
    assert FILMS.search("") == FILMS.search("  !  ") == []
    assert len(FILMS.search("a", limit=1)) == 1


def test_similar_items_share_what_they_say():
    served = model()
    found = similar_items(served, "film-00", 20)
    assert "film-00" not in {one.item for one in found}
    assert WITHOUT not in {one.item for one in found}
    assert [one.similarity for one in found] == sorted((o.similarity for o in found), reverse=True)
    same = [one.item for one in found[:8] if int(one.item[-2:]) % 4 == 0]
    assert len(same) >= 6, "of four circles, chance is 2"
    likes = served.histories.filter(pl.col(c.RATING) >= served.scale.like_from)
    fans = set(likes.filter(pl.col(c.ITEM) == "film-00")[c.USER])
    one = found[0]
    both = fans & set(likes.filter(pl.col(c.ITEM) == one.item)[c.USER])
    assert (one.liked_by, one.of) == (len(both), len(fans))
    assert "Noir" in found[[int(o.item[-2:]) % 4 for o in found].index(0)].shares
    with pytest.raises(DataError, match="no item 'nothing'"):
        similar_items(served, "nothing")


class Embedded:
    """Texts as vectors: a new item has that of the item whose number its title ends with."""

    def __init__(self, texts):
        self.texts = texts

    def encode(self, texts):
        return np.stack([self.texts[int(text.split(".")[1].split()[0])] for text in texts])


def test_new_items_score_as_those_whose_texts_are_like_theirs(monkeypatch):
    served = model()
    monkeypatch.setattr(new_items, "embedder", lambda _: Embedded(served.item_texts))
    monkeypatch.setattr(new_items, "NEIGHBOURS", 1)
    items = pl.DataFrame(
        {c.ITEM: ["new", "film-07"], c.TITLE: ["Story No. 8", "Story No. 7"], c.YEAR: [None, None],
         c.GENRES: [["Noir"], []], c.OVERVIEW: [None, None]},
        schema_overrides={c.YEAR: pl.Int32, c.OVERVIEW: pl.String},
    )  # fmt: skip
    profiles = served.item_profiles.head(1).with_columns(pl.lit("new").alias(c.ITEM))
    more = placed_items(served, items, profiles)
    assert more.items.height == served.items.height + 1, "film-07 is known"
    everybody = visitors_of(more, served.user_ids)
    scores = more.scores(everybody.located(more))
    np.testing.assert_allclose(scores[:, -1], scores[:, 8], rtol=1e-5)
    rated = pl.DataFrame(
        {c.USER: ["x", "x"], c.ITEM: ["film-00", "new"], c.RATING: [9.0, 9.0],
         c.TIMESTAMP: [1, 2]}
    )  # fmt: skip
    assert "new" not in more.lists(visitors_of(more, ratings=rated), 61)[c.ITEM]
    assert "new" in more.lists(visitors_of(more, ratings=rated[:1]), 61)[c.ITEM]
    near = closeness(more, 60)
    np.testing.assert_allclose(near[:60], closeness(served, 8), rtol=1e-5)
    assert len(similar_items(more, "new", 5)) == 5
