from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys_core.datasets.config import SplitConfig
from recsys_core.datasets.splits import KINDS, everything, holds_ml_100k, split_interactions
from recsys_core.errors import DataError


def frame(users: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_id": users,
            "item_id": list(range(len(users))),
            "rating": pl.Series([3.0] * len(users), dtype=pl.Float32),
            "timestamp": pl.Series([None] * len(users), dtype=pl.Int64),
        }
    )


users = st.lists(st.integers(0, 6), min_size=20, max_size=60)
shares = st.floats(0.01, 0.49)


@settings(deadline=None, max_examples=60)
@given(users=users, share=shares, seed=st.integers(0, 9), kind=st.sampled_from(sorted(KINDS)))
def test_parts_are_disjoint_complete_and_repeatable(
    users: list[int], share: float, seed: int, kind: Any
) -> None:
    data = frame(users)
    tests: list[int] = []
    for fold in range(1, 6):
        config = SplitConfig(kind=kind, fold=fold, valid_share=share)
        try:
            split = split_interactions(data, config, seed)
        except DataError:  # so few rows that a part is empty
            assert share * len(users) < 12
            continue
        parts = [split.train, split.valid, split.test]
        assert sorted(row for part in parts for row in part["item_id"]) == list(range(len(users)))
        assert all(part["item_id"].is_sorted() for part in parts)
        assert set(split.valid["user_id"]) <= set(split.train["user_id"])
        assert split.valid.height
        again = split_interactions(data, config, seed)
        same = zip(parts, [again.train, again.valid, again.test], strict=True)
        assert all(one.equals(two) for one, two in same)
        tests += split.test["item_id"].to_list()
    assert len(set(tests)) == len(tests)


def test_blocks_follow_the_file_and_random_does_not() -> None:
    data = frame(["a", "b"] * 50)
    for fold in (1, 5):
        config = SplitConfig(kind="blocks", fold=fold)
        block = split_interactions(data, config, 0).test["item_id"].to_list()
        assert block == list(range(20 * (fold - 1), 20 * fold))
    auto = [split_interactions(data, SplitConfig(), seed) for seed in (0, 1)]
    assert auto[0].kind == "random"
    assert not auto[0].test.equals(auto[1].test)
    backwards = split_interactions(data.reverse(), SplitConfig(), 0)
    assert sorted(backwards.test["item_id"]) == auto[0].test["item_id"].to_list()


def test_a_row_that_comes_later_moves_no_other() -> None:
    data, more = frame([0, 1] * 500), frame([0, 1] * 500 + [2, 0])
    before, after = (split_interactions(one, SplitConfig(), 3) for one in (data, more))
    for part in ("train", "valid", "test"):
        was, now = set(getattr(before, part)["item_id"]), set(getattr(after, part)["item_id"])
        assert was <= now


def test_the_choices_and_their_help_are_the_table() -> None:
    for name, kind in KINDS.items():
        assert SplitConfig(kind=name).kind == name
        assert f"`{name}`: {kind.help}" in (SplitConfig.model_fields["kind"].description or "")
    with pytest.raises(ValidationError, match="'auto', 'blocks' or 'random'"):
        SplitConfig(kind="alphabetic")


def test_too_few_rows_are_an_error() -> None:
    with pytest.raises(DataError, match="4 interactions cannot be cut into 5 folds"):
        split_interactions(frame([1] * 4), SplitConfig(), 0)
    with pytest.raises(DataError, match="none falls into the"):
        split_interactions(frame(list(range(50))), SplitConfig(), 0)


def test_everything_is_for_the_last_fit() -> None:
    data = frame([1, 2, 3])
    split = everything(data)
    assert split.train.equals(data)
    assert split.kind == "none"
    assert split.valid.height == split.test.height == 0
    assert split.test.schema == data.schema


LATER = pl.DataFrame({"user_id": [1], "item_id": [9999], "rating": [3.0], "timestamp": [1]})


def with_later(data: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([data, LATER.cast(dict(data.schema))])


@pytest.mark.data
@pytest.mark.parametrize(
    ("change", "held"),
    [
        (lambda data: data, True),
        (lambda data: data.with_columns(pl.col("user_id", "item_id").cast(pl.String)), True),
        (lambda data: data.with_columns(pl.lit(1.0).alias("rating")), True),
        (with_later, True),
        (lambda data: data.reverse(), False),
        (lambda data: data.head(99_999), False),
    ],
)
def test_movielens_100k_is_known_by_the_rows_it_holds(
    shared_data: Path, change: Callable[[pl.DataFrame], pl.DataFrame], held: bool
) -> None:
    data = pl.read_parquet(shared_data / "ml-100k" / "interactions.parquet")
    assert holds_ml_100k(change(data)) is held


@pytest.mark.data
def test_later_rows_leave_the_official_folds(shared_data: Path) -> None:
    data = pl.read_parquet(shared_data / "ml-100k" / "interactions.parquet")
    for fold in (1, 5):
        config = SplitConfig(fold=fold)
        before, after = (split_interactions(one, config, 0) for one in (data, with_later(data)))
        assert after.test.equals(before.test)
        assert after.valid.equals(before.valid)
        assert after.train.head(before.train.height).equals(before.train)
        assert after.train.height == before.train.height + 1


@pytest.mark.data
def test_fold_one_is_the_official_one(shared_data: Path) -> None:
    data = pl.read_parquet(shared_data / "ml-100k" / "interactions.parquet")
    split = split_interactions(data, SplitConfig(fold=1), 0)
    assert split.kind == "blocks"
    assert split.test.height == 20_000
    assert split.test["user_id"].n_unique() == 459
    training = split.known["user_id"].value_counts()
    cold = training.filter(pl.col("count") < 10)["user_id"]
    assert split.test.filter(pl.col("user_id").is_in(cold.implode()))["user_id"].n_unique() == 6
