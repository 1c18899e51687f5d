"""The text that is embedded: complete, in order, never null."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.columns import (
    DESCRIPTION,
    GENRES,
    ITEM,
    ITEM_PROFILES,
    ITEMS,
    NO_EVIDENCE,
    OVERVIEW,
    STATUS,
    TAGS,
    TEXT,
    TITLE,
    USER,
    USER_PROFILES,
    YEAR,
)
from recsys_core.embedding import descriptions_of, item_texts, user_texts


def _items(**over: object) -> pl.DataFrame:
    row = {ITEM: 7, TITLE: "Heat", YEAR: 1995, GENRES: ["Crime"], OVERVIEW: "A thief."} | over
    return pl.DataFrame([row], schema={**ITEMS, ITEM: pl.Int64})


def _profiles(key: str = ITEM, ident: object = 7, **over: object) -> pl.DataFrame:
    schema = ITEM_PROFILES if key == ITEM else USER_PROFILES
    row = dict.fromkeys(schema) | {key: ident, GENRES: [], TAGS: []} | over
    kind = pl.String if isinstance(ident, str) else pl.Int64
    return pl.DataFrame([row], schema={**schema, key: kind})


@pytest.mark.parametrize(
    ("item", "profile", "expected"),
    [
        (
            {},
            {TAGS: ["heist", "rivals"], DESCRIPTION: "Tense.", OVERVIEW: "A cop and a thief."},
            "Heat (1995). Genres: Crime. Tags: heist, rivals. Tense. A cop and a thief.",
        ),
        ({}, {}, "Heat (1995). Genres: Crime. A thief."),
        ({YEAR: None, GENRES: [], OVERVIEW: None}, {}, "Heat."),
        ({YEAR: None, GENRES: None, OVERVIEW: "  "}, {GENRES: ["Noir"]}, "Heat. Genres: Noir."),
        ({}, {GENRES: ["Noir"], OVERVIEW: " "}, "Heat (1995). Genres: Crime. A thief."),
    ],
)
def test_item_text(item: dict[str, object], profile: dict[str, object], expected: str) -> None:
    texts = item_texts(_items(**item), _profiles(**profile))
    assert texts.to_dicts() == [{ITEM: 7, TEXT: expected}]


def test_an_item_of_which_only_the_id_is_known_has_no_text() -> None:
    bare = {TITLE: "7", YEAR: None, GENRES: [], OVERVIEW: None}
    unknown = _profiles(**{STATUS: NO_EVIDENCE, DESCRIPTION: "Nothing.", OVERVIEW: "Nothing."})
    assert item_texts(_items(**bare), unknown)[TEXT].to_list() == [""]
    assert descriptions_of(_items()[ITEM], unknown).to_list() == [None]
    published = _profiles(**{STATUS: "published", DESCRIPTION: "Tense."})
    assert item_texts(_items(**bare), published)[TEXT].to_list() == ["Tense."]
    assert descriptions_of(_items()[ITEM], published).to_list() == ["Tense."]


def test_an_item_without_a_profile_keeps_its_own_facts() -> None:
    texts = item_texts(_items(), _profiles(ident=8))
    assert texts[TEXT].to_list() == ["Heat (1995). Genres: Crime. A thief."]


def test_the_order_of_the_items_is_kept() -> None:
    items = pl.concat([_items(**{ITEM: ident}) for ident in (9, 2, 5)])
    assert item_texts(items, _profiles(ident=5))[ITEM].to_list() == [9, 2, 5]


def test_dislikes_are_not_embedded() -> None:
    profile = _profiles(USER, "ann", **{GENRES: ["Drama"], "dislikes": ["horror"]})
    assert user_texts(profile).to_dicts() == [{USER: "ann", TEXT: "Genres: Drama."}]


def test_a_user_without_anything_has_an_empty_text() -> None:
    assert user_texts(_profiles(USER, "ann"))[TEXT].to_list() == [""]


_maybe_text = st.none() | st.text(max_size=20)
_maybe_list = st.none() | st.lists(st.none() | st.text(max_size=5), max_size=3)


@given(year=st.none() | st.integers(1800, 2100), genres=_maybe_list, tags=_maybe_list,
       overview=_maybe_text, description=_maybe_text)  # fmt: skip
def test_never_null_and_the_title_first(
    year: int | None, genres: list[str], tags: list[str], overview: str, description: str
) -> None:
    items = _items(**{YEAR: year, GENRES: genres, OVERVIEW: overview})
    texts = item_texts(items, _profiles(**{TAGS: tags, DESCRIPTION: description}))
    assert texts[TEXT].null_count() == 0
    assert texts[TEXT][0].startswith("Heat")
