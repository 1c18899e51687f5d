"""Texts of the ablations: nothing a language model wrote, and the evidence a profile has."""

import polars as pl
import pytest

from recsys_core.columns import EVIDENCE, ITEM, ITEMS, TEXT, USER
from recsys_core.embedding.raw_texts import raw_item_texts, raw_user_texts

FILMS = pl.DataFrame(
    [
        (1, "Alpha", 1990, ["Noir", "Drama"], "A plot."),
        (2, "Beta", None, [], None),
        (3, "Gamma", 2001, ["Farce"], "  "),
    ],
    schema={ITEM: pl.Int64} | {name: kind for name, kind in ITEMS.items() if kind},
    orient="row",
)


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("facts", "Title: Alpha (1990). Genres: Noir, Drama."),
        ("integrated", "Title: Alpha (1990). Genres: Noir, Drama. A plot."),
    ],
)
def test_items_without_year_genres_or_overview_keep_their_title(kind, first):
    texts = raw_item_texts(FILMS, kind)
    assert texts.columns == [ITEM, TEXT]
    assert texts[TEXT].to_list() == [first, "Title: Beta.", "Title: Gamma (2001). Genres: Farce."]


@pytest.mark.parametrize("kind", ["facts", "integrated"])
def test_an_id_is_no_title(kind):
    films = FILMS.with_columns(title=pl.col(ITEM).cast(pl.String))
    texts = raw_item_texts(films, kind)[TEXT].to_list()
    assert texts[1:] == ["", "Genres: Farce."]
    assert texts[0].startswith("Genres: Noir, Drama.")


def test_users_get_the_texts_of_what_they_liked_in_the_order_of_the_turns():
    rows = [("u", 3, 5.0, "liked", 2), ("u", 1, 5.0, "liked", 1), ("u", 2, 1.0, "disliked", 1)]
    schema = {USER: pl.String, ITEM: pl.Int64} | {n: kind for n, kind in EVIDENCE.items() if kind}
    evidence = pl.DataFrame(rows, schema=schema, orient="row")
    users = pl.Series(USER, ["nobody", "u"])
    texts = raw_user_texts(users, evidence, raw_item_texts(FILMS, "facts"))
    assert texts.rows() == [
        ("nobody", ""),
        ("u", "Title: Alpha (1990). Genres: Noir, Drama. Title: Gamma (2001). Genres: Farce."),
    ]
