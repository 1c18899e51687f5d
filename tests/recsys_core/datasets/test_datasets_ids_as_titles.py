"""An id in the place of a title is text only where it is a name."""

import polars as pl
import pytest

from recsys_core.columns import AVAILABLE, GENRES, ITEM, ITEMS, OVERVIEW, TITLE, YEAR
from recsys_core.datasets.ids_as_titles import is_name, say_nothing, telling_titles


@pytest.mark.parametrize(
    "ident",
    ["Radiohead", "the-hobbit", "daft punk", "/wiki/Heat_(film)", "東京物語", "Лев", "R.E.M. live",
     "LCD Soundsystem", "blink 182"],
)  # fmt: skip
def test_names(ident: str) -> None:
    assert is_name(ident)


@pytest.mark.parametrize(
    "ident",
    ["53", "-7", "item_53", "Book 12", "product-0007", "B000GFCRGO", "mYSpR_SLPgUVymYOvTQd_Q",
     "0a1b2c3d-77ee-4f00-9a9a-0123456789ab", "978-0-261-10221-7", "", "x", "u1 i2"],
)  # fmt: skip
def test_codes(ident: str) -> None:
    assert not is_name(ident)


def _items(*rows: dict[str, object], kind: type[pl.DataType] = pl.String) -> pl.DataFrame:
    empty = {YEAR: None, GENRES: [], OVERVIEW: None, AVAILABLE: True}
    return pl.DataFrame(
        [empty | row for row in rows], schema={**ITEMS, ITEM: kind(), AVAILABLE: pl.Boolean()}
    )


def test_only_an_id_is_no_title() -> None:
    items = _items(
        {ITEM: 1984, TITLE: "1984"}, {ITEM: 2, TITLE: "1984"}, {ITEM: 3, TITLE: "3"}, kind=pl.Int64
    )
    assert telling_titles(items).to_list() == [None, "1984", None]
    named = _items({ITEM: "Radiohead", TITLE: "Radiohead"}, {ITEM: "B0", TITLE: "B0"})
    assert telling_titles(named).to_list() == ["Radiohead", None]


@pytest.mark.parametrize(
    ("told", "nothing"),
    [({}, True), ({YEAR: 1995}, False), ({GENRES: ["Crime"]}, False), ({OVERVIEW: "x"}, False),
     ({OVERVIEW: " "}, True), ({AVAILABLE: False}, True), ({TITLE: "Heat"}, False)],
)  # fmt: skip
def test_what_says_nothing(told: dict[str, object], nothing: bool) -> None:
    items = _items({ITEM: "b7", TITLE: "b7"} | told)
    assert say_nothing(items).to_list() == [nothing]
    further = items.with_columns(brand=pl.lit(["Acme"]), price=pl.lit(None, pl.Float64))
    assert say_nothing(further).to_list() == [False]
    assert say_nothing(items.clear()).to_list() == []
