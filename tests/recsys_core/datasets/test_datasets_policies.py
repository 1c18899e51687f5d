"""Policies of the data door: what each does, and that the run says how often."""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from recsys_core.columns import AVAILABLE, ITEM, RATING, TIMESTAMP, TITLE, USER
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract import Dataset, RawDataset, validate
from recsys_core.datasets.load import load_dataset
from recsys_core.errors import DataError

ITEMS = pl.DataFrame({ITEM: ["a", "b", "c"], TITLE: ["A", "B", "C"]})


def rated(values: list[Any], **columns: Any) -> pl.DataFrame:
    users = [f"u{n}" for n in range(len(values))]
    ratings = [float(value) for value in values]
    return pl.DataFrame({USER: users, ITEM: ["a"] * len(values), RATING: ratings} | columns)


def checked(frame: pl.DataFrame, *, items: pl.DataFrame | None = ITEMS, **fields: Any) -> Dataset:
    raw = RawDataset(name="mine", source="a test", interactions=frame, items=items)
    return validate(raw, DataConfig(**fields))


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([1, 3, 5], 1, 5), ([2, 4, 4.5], 1, 5), ([0.5, 3, 5], 0.5, 5), ([0, 3, 5], 0, 5),
        ([3, 7, 9.5], 1, 10), ([0, 7, 10], 0, 10), ([0, 1, 1], 0, 1), ([0, 0.5, 1], 0, 1),
        ([-1, 1, 1], -1, 1), ([-7.5, 3, 9], -10, 10), ([60, 70, 99], 1, 100), ([-50, 3, 9], -50, 9),
    ],
)  # fmt: skip
def test_the_scale_is_told_from_the_data(values: list[float], low: float, high: float) -> None:
    data = checked(rated(values))
    assert data.scale.feedback == "explicit"
    assert (data.scale.rating_min, data.scale.rating_max) == (low, high)
    assert data.scale.like_from == low + 0.75 * (high - low)
    assert any(f"ratings from {low:g} to {high:g} (told from the data)" in n for n in data.notes)


@pytest.mark.parametrize(
    "frame",
    [
        rated([1, 1, 1]), rated([5, 5, 5]), rated([1, 2, 3]).drop(RATING),
        rated([1, 1, 1, 2, 7]), rated([3, 20000, 14]), rated([0.5, 312.25, 4]),
        rated([1, 1, 90, 3]),
    ],
    ids=["ones", "constant", "no rating", "small counts", "plays", "hours", "counts to 90"],
)  # fmt: skip
def test_unary_and_count_data_are_implicit(frame: pl.DataFrame) -> None:
    data = checked(frame)
    scale, weights = data.scale, data.interactions[RATING]
    assert scale.is_implicit
    assert weights.min() > 0  # type: ignore[operator]
    assert weights.max() == scale.rating_max == 1.0
    assert weights.min() > scale.dislike_from, "nothing is disliked"  # type: ignore[operator]
    assert weights.min() >= scale.like_from, "everything is liked"  # type: ignore[operator]
    assert any("implicit feedback (told from the data)" in note for note in data.notes)


def test_a_configured_kind_or_scale_wins() -> None:
    assert checked(rated([1, 1, 1]), feedback="explicit").scale.rating_max == 1.0
    assert checked(rated([1, 1, 4]), rating_min=1, rating_max=5).scale.feedback == "explicit"
    assert checked(rated([1, 3, 5]), feedback="implicit").scale.is_implicit


@pytest.mark.parametrize(
    ("counts", "expected", "liked"),
    [
        ("log1p", [math.log(2) / math.log(8), math.log(4) / math.log(8), 1.0],
         math.log(4) / math.log(8)),
        ("quantile", [1 / 3, 2 / 3, 3 / 3], 2 / 3), ("as_given", [1.0, 3.0, 7.0], 3.0),
    ],
)  # fmt: skip
def test_counts_become_weights(counts: str, expected: list[float], liked: float) -> None:
    data = checked(rated([1, 3, 7]), feedback="implicit", counts=counts, positive=3)
    assert data.interactions[RATING].to_list() == pytest.approx(expected)
    assert data.scale.like_from == pytest.approx(liked)
    assert data.scale.rating_max == pytest.approx(expected[-1])


TWICE = pl.DataFrame(
    {
        USER: ["u", "u", "v", "u"], ITEM: ["a", "b", "a", "a"], RATING: [4.0, 5, 1, 2],
        TIMESTAMP: [9, 2, 3, 4],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "value"), [(None, 4.0), ("last", 4.0), ("max", 4.0), ("mean", (4 + 2) / 2)]
)
def test_repeated_pairs_become_one_row(policy: str | None, value: float) -> None:
    data = checked(TWICE, repeats=policy)
    found = {(user, item): rating for user, item, rating, _ in data.interactions.rows()}
    assert found == {("u", "a"): value, ("u", "b"): 5.0, ("v", "a"): 1.0}
    assert any(note.startswith("1 repeated row ") for note in data.notes)


def test_without_times_the_last_row_of_the_file_wins() -> None:
    data = checked(TWICE.drop(TIMESTAMP))
    assert data.interactions.filter(pl.col(ITEM) == "a")[RATING].to_list() == [1.0, 2.0]


def test_repeated_pairs_may_be_refused_and_counts_add_up() -> None:
    with pytest.raises(DataError, match=r"2 rows repeat a \(user, item\) pair: row 1 .*row 4"):
        checked(TWICE, repeats="error")
    with pytest.raises(DataError, match="cannot be added up"):
        checked(TWICE, repeats="sum")
    data = checked(TWICE, feedback="implicit", counts="as_given")
    assert sorted(data.interactions[RATING].to_list()) == [1.0, 5.0, 4.0 + 2.0]
    events = checked(TWICE.drop(RATING))
    assert events.interactions[RATING].to_list() == [1.0] * 3
    assert checked(TWICE.drop(RATING), repeats="sum", counts="as_given").scale.rating_max == 2.0


def test_counts_of_zero_are_no_interactions() -> None:
    data = checked(rated([0, 3, 2000]))
    assert data.interactions.height == 2
    assert "1 interaction with a count of 0 or less dropped" in data.notes
    with pytest.raises(DataError, match="every count is 0 or less"):
        checked(rated([0, 0]), feedback="implicit")


def test_ratings_outside_the_scale_are_refused_clipped_or_dropped() -> None:
    frame, scale = rated([0, 4, 9]), {"rating_min": 1, "rating_max": 5}
    with pytest.raises(DataError, match="2 rows have a rating outside the scale 1 to 5"):
        checked(frame, **scale)
    assert checked(frame, out_of_scale="clip", **scale).interactions[RATING].to_list() == [1, 4, 5]
    dropped = checked(frame, out_of_scale="drop", **scale)
    assert dropped.interactions[RATING].to_list() == [4]
    assert "2 ratings outside the scale dropped" in dropped.notes


def test_unknown_items_are_kept_dropped_or_refused() -> None:
    frame = rated([1, 3, 5]).with_columns(pl.Series(ITEM, ["a", "x", "b"]))
    kept = checked(frame)
    assert kept.interactions.height == 3
    assert kept.items.filter(~pl.col(AVAILABLE)).select(ITEM, TITLE).rows() == [("x", "x")]
    assert kept.items["genres"].null_count() == 0
    assert any(
        "1 interaction with 1 item that the items table lacks: kept" in n for n in kept.notes
    )
    dropped = checked(frame, unknown_items="drop")
    assert dropped.interactions[ITEM].to_list() == ["a", "b"]
    assert dropped.items.height == 3
    with pytest.raises(DataError, match="1 row names an item that is unknown: row 2"):
        checked(frame, unknown_items="error")


def test_the_k_core_is_taken_until_nothing_changes() -> None:
    pairs = [("u", "a"), ("u", "b"), ("v", "a"), ("v", "b"), ("w", "a"), ("w", "c")]
    frame = pl.DataFrame(pairs, schema=[USER, ITEM], orient="row")
    data = checked(frame, min_user_interactions=2, min_item_interactions=2)
    # c goes for one user, then w for one item left.
    assert data.interactions.select(USER, ITEM).rows() == pairs[:4]
    assert data.items.height == 3
    assert any(note.startswith("2 interactions left out") for note in data.notes)
    with pytest.raises(DataError, match="no interaction is left"):
        checked(frame, min_user_interactions=4)


def test_what_may_be_recommended_is_given_by_column_and_by_files(tmp_path: Path) -> None:
    rated([1, 3, 5]).write_csv(tmp_path / "interactions.csv")
    ITEMS.with_columns(available=pl.Series(["yes", "no", None])).write_csv(tmp_path / "items.csv")

    def allowed(**fields: str) -> list[bool]:
        config = DataConfig(source=str(tmp_path), **fields)  # type: ignore[arg-type]
        return load_dataset(config, tmp_path).items[AVAILABLE].to_list()

    (tmp_path / "stock.csv").write_text("item_id\na\nb\n")
    (tmp_path / "bare.txt").write_text("a\nc\nno such item\n")
    (tmp_path / "x.txt").write_text("y\nz\n")
    assert allowed() == [True, False, True]
    assert allowed(candidates=str(tmp_path / "stock.csv")) == [True, False, False]
    assert allowed(exclude=str(tmp_path / "stock.csv")) == [False, False, True]
    assert allowed(candidates=str(tmp_path / "bare.txt")) == [True, False, True]
    data = load_dataset(DataConfig(source=str(tmp_path), exclude=str(tmp_path / "x.txt")), tmp_path)
    assert "2 ids of --data.exclude names no item" in data.notes
    with pytest.raises(DataError, match="no item is left that may be recommended"):
        allowed(exclude=str(tmp_path / "bare.txt"))


def test_thresholds_must_be_in_order_and_inside_the_scale() -> None:
    with pytest.raises(ValidationError, match="positive=9"):
        DataConfig(positive=9, rating_max=5)
    with pytest.raises(DataError, match="do not fit the configuration"):
        checked(rated([1, 3, 5]), positive=9)
