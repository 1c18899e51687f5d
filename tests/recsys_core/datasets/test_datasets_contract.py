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
    RawDataset,
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
    scale = DataConfig(rating_min=1, rating_max=5)
    return validate_interactions(frame, config or scale, place="mine.parquet").table


def items(**columns: Any) -> pl.DataFrame:
    return validate_items(pl.DataFrame(ITEMS | columns, strict=False), place="items.parquet")


def dataset(**tables: pl.DataFrame) -> RawDataset:
    plain = {"interactions": pl.DataFrame(ROWS), "items": pl.DataFrame(ITEMS)}
    return RawDataset(name="mine", source="a test", **(plain | tables))  # type: ignore[arg-type]


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
        ("user_id", [3.0, 1.0, 2.0], [3, 1, 2]),
        ("rating", [1, 5, 3], [1.0, 5.0, 3.0]),
        ("rating", ["1", " 5.0", "3"], [1.0, 5.0, 3.0]),
        ("rating", pl.Series([1, 5, 3], dtype=pl.Decimal(4, 1)), [1.0, 5.0, 3.0]),
        ("timestamp", [None, None, None], [None, None, None]),
        ("timestamp", [5.0, float("nan"), 7.0], [5, None, 7]),
        ("timestamp", ["5", "", "7.0"], [5, None, 7]),
        ("timestamp", [978300760000, None, 978300761000], [978300760, None, 978300761]),
        ("timestamp", [978300760000000, None, None], [978300760, None, None]),
        ("timestamp", [978300760000000000, None, None], [978300760, None, None]),
        (
            "timestamp",
            ["2000-12-31 22:12:40", None, "2001-01-01 00:00:00"],
            [978300760, None, 978307200],
        ),
        ("timestamp", ["2000-12-31T22:12:40Z", None, None], [978300760, None, None]),
        ("timestamp", ["12/31/2000", None, "01/01/2001"], [978220800, None, 978307200]),
        ("timestamp", ["12 31, 2000", "1 1, 2001", None], [978220800, 978307200, None]),
        ("timestamp", [datetime(1970, 1, 2, tzinfo=UTC), None, None], [86400, None, None]),
    ],
)
def test_benign_variants_of_interactions_are_cast(column: str, values: Any, expected: Any) -> None:
    assert interactions(**{column: values})[column].to_list() == expected


def test_a_missing_timestamp_comes_as_null_and_other_columns_go() -> None:
    frame = pl.DataFrame(ROWS).drop("timestamp").with_columns(note=pl.lit("x"))
    table = validate_interactions(frame, DataConfig(), place="mine.parquet").table
    assert table.columns == ["user_id", "item_id", "rating", "timestamp"]
    assert table["timestamp"].to_list() == [None] * 3


def test_items_need_only_ids_and_titles() -> None:
    table = validate_items(pl.DataFrame(ITEMS).select("item_id", "title"), place="items.parquet")
    assert table.rows()[0] == (10, "Heat", None, [], None)
    assert table.schema["genres"] == pl.List(pl.String)


def test_known_columns_of_items_are_kept_and_their_texts_normalised() -> None:
    table = items(cast=[" Al   Pacino", ""], tmdb_id=[949, None])
    assert table.columns[-2:] == ["cast", "tmdb_id"]
    assert table["cast"].to_list() == [["Al Pacino"], []]
    assert table["tmdb_id"].to_list() == [949, None]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("title", ["Heat", None], ["Heat", "20"]),
        ("title", [1984, 1985], ["1984", "1985"]),
        ("year", [0, 2**40], [None, None]),
        ("year", ["1995", "30-Oct-1979"], [1995, 1979]),
        ("year", ["1995-12-15", "V"], [1995, None]),
        ("genres", ["Crime|Drama", "(no genres listed)"], [["Crime", "Drama"], []]),
        ("genres", ["Crime, Drama", "unknown"], [["Crime", "Drama"], []]),
        ("genres", ["Crime;Drama, TV", None], [["Crime", "Drama, TV"], []]),
        ("genres", ["['Crime', \"Children's\"]", "[]"], [["Crime", "Children's"], []]),
        ("genres", ['["Crime", "Drama"]', ""], [["Crime", "Drama"], []]),
        (
            "genres",
            ["[{'id': 80, 'name': 'Crime'}]", '[{"id": 1, "name": "War"}]'],
            [["Crime"], ["War"]],
        ),
        ("genres", [[{"id": 80, "name": "Crime"}], []], [["Crime"], []]),
        ("genres", ["{'80': 'Crime'}", '{"18": "Drama"}'], [["Crime"], ["Drama"]]),
        ("genres", [[["Film", "Crime"]], [[]]], [["Film", "Crime"], []]),
        ("genres", [["(no genres listed)"], ["Unknown", "War"]], [[], ["War"]]),
        ("overview", [["In", "space."], None], ["In space.", None]),
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
        ({"rating": [1.0, None, 2]}, "1 row has a null", "drop"),
        ({"rating": ["1", "five", "3"]}, "'rating' has type String", "numbers"),
        ({"user_id": [1.5, 2.0, 3.0]}, "'user_id' has type Float64", "Int64 or String"),
        ({"user_id": [1, None, 2]}, "no user_id: row 2", "user_id"),
        ({"user_id": ["a", " ", "b"]}, "no user_id: row 2", "user_id"),
        ({"user_id": [None, None, None]}, "no user_id", "user_id"),
        ({"user_id": pl.Series([2**63, 1, 2], dtype=pl.UInt64)}, "do not fit Int64", "strings"),
        ({"timestamp": ["x", "y", "z"]}, "'timestamp' has type String", "Unix seconds"),
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
        ({"title": [1.5, 2.0]}, "'title' has type Float64", "String"),
        ({"genres": [1, 2]}, "'genres' has type Int64", "A|B"),
        ({"year": [1995.5, 1]}, "not whole", "whole number"),
        ({"item_id": ["x" * 201, "y"]}, "more than 200 characters: row 1", "number the items"),
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
    raw = dataset(interactions=frame, items=pl.DataFrame({"name": ["Heat"], "genres": [1]}))
    with pytest.raises(DataError) as caught:
        validate(raw, DataConfig())
    for part in ("no item_id", "null, NaN", "missing columns item_id, title", "'genres' has type"):
        assert part in str(caught.value)


def test_only_the_first_offending_rows_are_shown() -> None:
    frame = pl.DataFrame({"user_id": range(99), "item_id": range(99), "rating": [9.0] * 99})
    with pytest.raises(
        DataError, match=r"99 rows .*row 1 .*row 2 .*row 3 \([^)]*\), \.\.\."
    ) as caught:
        validate_interactions(frame, DataConfig(rating_min=1, rating_max=5), place="f")
    assert "row 4" not in caught.value.seen


def test_missing_columns_and_an_empty_file_are_errors() -> None:
    with pytest.raises(DataError, match="missing column item_id"):
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
    assert validate(dataset(items=strings), DataConfig()).interactions["item_id"][0] == "10"
    strict = DataConfig(unknown_items="error")
    with pytest.raises(DataError, match=r"unknown: row 3 \(user_id=2, item_id=20\)"):
        validate(dataset(items=pl.DataFrame(ITEMS).head(1)), strict)
    foreign = dataset(
        items=pl.DataFrame(ITEMS | {"item_id": ["B1", "B2"]}),
        users=pl.DataFrame({"user_id": ["a"]}),
    )
    with pytest.raises(DataError, match="no item_id of the interactions is in the items") as caught:
        validate(foreign, DataConfig())
    assert "no user_id of the interactions is in the users" in str(caught.value)


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
