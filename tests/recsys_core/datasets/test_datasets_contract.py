import unicodedata
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract import (
    Dataset,
    validate,
    validate_interactions,
    validate_items,
    validate_users,
)
from recsys_core.datasets.text import normalised, normalised_list
from recsys_core.errors import DataError

ROWS: dict[str, Any] = {
    "user_id": [3, 1, 2],
    "item_id": [10, 10, 20],
    "rating": [1.0, 5.0, 3.0],
    "timestamp": [5, None, 7],
}
ITEMS: dict[str, Any] = {
    "item_id": [10, 20],
    "title": ["Heat", "Alien"],
    "year": [1995, None],
    "genres": [["Crime"], []],
    "overview": [None, "In space."],
}


def interactions(config: DataConfig | None = None, **columns: Any) -> pl.DataFrame:
    frame = pl.DataFrame(ROWS | columns, strict=False)
    return validate_interactions(frame, config or DataConfig(), place="mine.parquet")


def items(**columns: Any) -> pl.DataFrame:
    return validate_items(pl.DataFrame(ITEMS | columns, strict=False), place="items.parquet")


def dataset(**tables: pl.DataFrame) -> Dataset:
    plain = {"interactions": pl.DataFrame(ROWS), "items": pl.DataFrame(ITEMS)}
    return Dataset(name="mine", source="a test", **(plain | tables))  # type: ignore[arg-type]


def test_rows_keep_the_order_of_the_file() -> None:
    table = interactions()
    assert table.rows() == [(3, 10, 1.0, 5), (1, 10, 5.0, None), (2, 20, 3.0, 7)]
    assert table.dtypes == [pl.Int64, pl.Int64, pl.Float32, pl.Int64]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("user_id", pl.Series([3, 1, 2], dtype=pl.UInt8), [3, 1, 2]),
        ("user_id", ["c", "a", "b"], ["c", "a", "b"]),
        ("user_id", pl.Series(["c", "a", "b"], dtype=pl.Categorical), ["c", "a", "b"]),
        ("rating", [1, 5, 3], [1.0, 5.0, 3.0]),
        ("rating", pl.Series([1, 5, 3], dtype=pl.Decimal(4, 1)), [1.0, 5.0, 3.0]),
        ("timestamp", [None, None, None], [None, None, None]),
        ("timestamp", [5.0, float("nan"), 7.0], [5, None, 7]),
        ("timestamp", [datetime(1970, 1, 2, tzinfo=UTC), None, None], [86400, None, None]),
    ],
)
def test_benign_variants_of_interactions_are_cast(column: str, values: Any, expected: Any) -> None:
    assert interactions(**{column: values})[column].to_list() == expected


def test_a_missing_timestamp_comes_as_null_and_other_columns_go() -> None:
    frame = pl.DataFrame(ROWS).drop("timestamp").with_columns(note=pl.lit("x"))
    table = validate_interactions(frame, DataConfig(), place="mine.parquet")
    assert table.columns == ["user_id", "item_id", "rating", "timestamp"]
    assert table["timestamp"].to_list() == [None] * 3


def test_items_need_only_ids_and_titles() -> None:
    table = validate_items(pl.DataFrame(ITEMS).select("item_id", "title"), place="items.parquet")
    assert table.rows()[0] == (10, "Heat", None, [], None)
    assert table.schema["genres"] == pl.List(pl.String)


def test_further_columns_of_items_are_kept_and_their_texts_normalised() -> None:
    table = items(cast=[" Al   Pacino", ""], tmdb_id=[949, None])
    assert table.columns[-2:] == ["cast", "tmdb_id"]
    assert table["cast"].to_list() == ["Al Pacino", None]
    assert table["tmdb_id"].to_list() == [949, None]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("year", [1995.0, float("nan")], [1995, None]),
        ("year", pl.Series([1995, 1979], dtype=pl.Int16), [1995, 1979]),
        ("genres", [None, ["Drama", " Drama ", "", None]], [[], ["Drama"]]),
        ("genres", [[], []], [[], []]),
        ("genres", [None, None], [[], []]),
        ("overview", [None, None], [None, None]),
        ("overview", ["  ", "a\tb\n"], [None, "a b"]),
    ],
)
def test_benign_variants_of_items_are_cast(column: str, values: Any, expected: Any) -> None:
    assert items(**{column: values})[column].to_list() == expected


@pytest.mark.parametrize(
    ("columns", "seen", "fix"),
    [
        (
            {"rating": [1.0, 9.0, 0.0]},
            "2 rows have a rating outside the scale 1 to 5",
            "rating_max",
        ),
        (
            {"rating": [1.0, float("nan"), 2]},
            r"row 2 \(user_id=1, .*rating=nan\)",
            "drop",
        ),
        ({"rating": [1.0, float("inf"), 2]}, "infinite rating", "drop"),
        ({"rating": [1.0, None, 2]}, "1 row have a null", "drop"),
        ({"rating": ["1", "5", "3"]}, "'rating' has type String", "numbers"),
        ({"user_id": [1.5, 2.0, 3.0]}, "'user_id' has type Float64", "Int64 or String"),
        ({"user_id": [1, None, 2]}, "no user_id: row 2", "user_id"),
        ({"user_id": ["a", " ", "b"]}, "no user_id: row 2", "user_id"),
        ({"user_id": [None, None, None]}, "no user_id", "user_id"),
        ({"user_id": pl.Series([2**63, 1, 2], dtype=pl.UInt64)}, "do not fit Int64", "strings"),
        (
            {"user_id": [1, 1, 2]},
            r"repeat a \(user, item\) pair: row 1 .*row 2",
            "one row per pair",
        ),
        ({"timestamp": ["x", "y", "z"]}, "'timestamp' has type String", "Unix seconds"),
        ({"timestamp": [1.5, 2.0, 3.0]}, "not whole", "Unix seconds"),
    ],
)
def test_bad_interactions_are_named_with_the_fix(
    columns: dict[str, Any], seen: str, fix: str
) -> None:
    with pytest.raises(DataError, match=seen) as caught:
        interactions(**columns)
    assert caught.value.seen.startswith("mine.parquet: ")
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("columns", "seen", "fix"),
    [
        ({"item_id": [10, 10]}, "repeat a item_id: row 1 .*row 2", "one row per item_id"),
        ({"item_id": [10, None]}, "no item_id: row 2", "item_id"),
        ({"title": ["Heat", None]}, r"no title: row 2 \(item_id=20\)", "title"),
        ({"title": ["Heat", " \n"]}, "no title: row 2", "title"),
        ({"title": [1, 2]}, "'title' has type Int64", "String"),
        ({"genres": ["Crime|Drama", ""]}, "'genres' has type String", "str.split"),
        ({"year": ["1995", "1979"]}, "'year' has type String", "whole number"),
        ({"year": [2**40, 1]}, "do not fit Int32", "smaller"),
        ({"overview": [1, 2]}, "'overview' has type Int64", "String"),
    ],
)
def test_bad_items_are_named_with_the_fix(columns: dict[str, Any], seen: str, fix: str) -> None:
    with pytest.raises(DataError, match=seen) as caught:
        items(**columns)
    assert caught.value.seen.startswith("items.parquet: ")
    assert fix in caught.value.fix


def test_all_problems_of_a_file_are_named_at_once() -> None:
    frame = pl.DataFrame({"user_id": [1, 1], "item_id": [None, None], "rating": [7.0, None]})
    with pytest.raises(DataError) as caught:
        validate_interactions(frame, DataConfig(), place="f")
    for part in ("no item_id", "null, NaN", "outside the scale", "(it goes from 7.0 to 7.0)"):
        assert part in str(caught.value)


def test_only_the_first_offending_rows_are_shown() -> None:
    frame = pl.DataFrame({"user_id": range(99), "item_id": range(99), "rating": [9.0] * 99})
    with pytest.raises(
        DataError, match=r"99 rows .*row 1 .*row 2 .*row 3 \([^)]*\), \.\.\."
    ) as caught:
        validate_interactions(frame, DataConfig(), place="f")
    assert "row 4" not in caught.value.seen


def test_missing_columns_and_an_empty_file_are_errors() -> None:
    with pytest.raises(DataError, match="missing columns item_id, rating"):
        validate_interactions(pl.DataFrame({"user_id": [1]}), DataConfig(), place="f")
    with pytest.raises(DataError, match="no rows"):
        validate_interactions(pl.DataFrame(ROWS).clear(), DataConfig(), place="f")
    with pytest.raises(DataError, match="no columns"):
        validate_items(pl.DataFrame(), place="f")


def test_the_scale_is_configuration_and_its_ends_are_inside() -> None:
    config = DataConfig(rating_min=0.1, rating_max=0.3)
    table = interactions(config, rating=[0.1, 0.2, 0.3])
    assert table["rating"].to_list() == [float(np.float32(value)) for value in (0.1, 0.2, 0.3)]
    with pytest.raises(DataError, match=r"0\.1 to 0\.3"):
        interactions(config, rating=[0.1, 0.2, 0.31])


def test_a_sound_data_set_passes_with_any_kind_of_id() -> None:
    assert validate(dataset(), DataConfig()).items.height == 2
    strings = {name: pl.col(name).cast(pl.String) for name in ("user_id", "item_id")}
    as_strings = dataset(
        interactions=pl.DataFrame(ROWS).with_columns(**strings),
        items=pl.DataFrame(ITEMS).with_columns(item_id=strings["item_id"]),
        users=pl.DataFrame({"user_id": ["1", "9"], "age": [30, None]}),
    )
    sound = validate(as_strings, DataConfig())
    assert sound.interactions["user_id"].to_list() == ["3", "1", "2"]
    assert sound.users is not None
    assert sound.users.columns == ["user_id", "age"]


def test_tables_that_do_not_fit_one_another_are_errors() -> None:
    strings = pl.DataFrame(ITEMS | {"item_id": ["10", "20"]})
    with pytest.raises(DataError, match="item_id is Int64 in the interactions but String"):
        validate(dataset(items=strings), DataConfig())
    with pytest.raises(DataError, match=r"unknown: row 3 \(user_id=2, item_id=20\)"):
        validate(dataset(items=pl.DataFrame(ITEMS).head(1)), DataConfig())
    with pytest.raises(DataError, match="user_id is Int64 in the interactions but String"):
        validate(dataset(users=pl.DataFrame({"user_id": ["a"]})), DataConfig())


def test_users_are_unique_and_known() -> None:
    with pytest.raises(DataError, match="repeat a user_id: row 1"):
        validate_users(pl.DataFrame({"user_id": [1, 1]}), place="f")
    with pytest.raises(DataError, match="missing column user_id"):
        validate_users(pl.DataFrame({"id": [1]}), place="f")


@settings(deadline=None, max_examples=10)
@given(st.lists(st.text(max_size=40), min_size=50, max_size=50))
def test_normalised_text_is_clean_and_stays_so(texts: list[str]) -> None:
    once = pl.select(normalised(pl.lit(pl.Series(texts, dtype=pl.String))))
    assert once.select(normalised(pl.first())).equals(once)
    for text in once.to_series():
        assert text == unicodedata.normalize("NFC", text)
        assert text == " ".join(text.split())
        assert not any(unicodedata.category(character) == "Cc" for character in text)


def test_text_keeps_what_scripts_need_and_loses_what_deceives() -> None:
    cases = {
        "Mise\u0301rables": "Misérables",
        "a\u00a0\u2003b": "a b",
        "x\x00\x07y": "xy",
        "\ufeffabc\u202edef": "abcdef",
        "\U0001f468\u200d\U0001f469": "\U0001f468\u200d\U0001f469",
    }
    for raw, clean in cases.items():
        assert pl.select(normalised(pl.lit(raw))).item() == clean
    lists = pl.DataFrame({"g": [["b", "a ", "b"], None]}).select(normalised_list(pl.col("g")))
    assert lists["g"].to_list() == [["b", "a"], []]
