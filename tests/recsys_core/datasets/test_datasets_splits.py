from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys_core.columns import INTERACTIONS, ITEM, PART, POSITION, TIMESTAMP, USER
from recsys_core.datasets.config import SplitConfig
from recsys_core.datasets.hashed_split import hashed_parts
from recsys_core.datasets.splits import FOLDS, KINDS, everything, holds_ml_100k, split_interactions
from recsys_core.errors import ConfigError, DataError
from recsys_core.graph.interaction_graph import InteractionGraph


def frame(users: list[Any]) -> pl.DataFrame:
    """Times run against the order of the file; every fifth row is test, the one before valid."""
    rows = len(users)
    return pl.DataFrame(
        {
            "user_id": users,
            "item_id": list(range(rows)),
            "rating": pl.Series([3.0] * rows, dtype=pl.Float32),
            "timestamp": list(range(rows, 0, -1)),
            "part": [{4: "test", 3: "valid"}.get(row % 5, "train") for row in range(rows)],
        }
    )


def a_part_would_be_empty(data: pl.DataFrame, config: SplitConfig, seed: int) -> bool:
    """Whether so few rows leave a part without any: of a hash by chance, else by rounding."""
    if config.kind in ("auto", "random", "blocks"):
        rows = np.arange(data.height)
        first, end = (fold * data.height // FOLDS for fold in (config.fold - 1, config.fold))
        parts = hashed_parts(
            data, fold=config.fold, folds=FOLDS, valid_share=config.valid_share, seed=seed,
            test=(rows >= first) & (rows < end) if config.kind == "blocks" else None,
        )  # fmt: skip
        return not (parts.valid.any() and parts.test.any())
    return config.valid_share * data.height < 12


users = st.lists(st.integers(0, 6), min_size=20, max_size=60)
shares = st.floats(0.01, 0.49)


@settings(deadline=None, max_examples=100)
@given(users=users, share=shares, seed=st.integers(0, 9), kind=st.sampled_from(sorted(KINDS)))
def test_parts_of_every_kind_are_disjoint_complete_and_repeatable(
    users: list[int], share: float, seed: int, kind: str
) -> None:
    data = frame(users)
    tests: list[int] = []
    for fold in range(1, KINDS[kind].folds + 1):
        config = SplitConfig(kind=kind, fold=fold, valid_share=share)
        try:
            split = split_interactions(data, config, seed)
        except DataError:
            assert a_part_would_be_empty(data, config, seed)
            continue
        parts = [split.train, split.valid, split.test]
        assert sorted(row for part in parts for row in part["item_id"]) == list(range(len(users)))
        assert all(part["item_id"].is_sorted() for part in parts)
        assert all(part.columns == list(INTERACTIONS) for part in parts)
        assert split.train.height
        assert split.test.height
        again = split_interactions(data, config, seed)
        same = zip(parts, [again.train, again.valid, again.test], strict=True)
        assert all(one.equals(two) for one, two in same)
        tests += split.test["item_id"].to_list()
    assert len(tests) == len(set(tests))


@settings(deadline=None, max_examples=60)
@given(users=users, share=shares, kind=st.sampled_from(["random", "blocks"]))
def test_folds_draw_validation_from_users_who_keep_something(
    users: list[int], share: float, kind: str
) -> None:
    data, config = frame(users), SplitConfig(kind=kind, valid_share=share)
    assume(not a_part_would_be_empty(data, config, 0))
    split = split_interactions(data, config, 0)
    assert set(split.valid["user_id"]) <= set(split.train["user_id"])
    assert split.valid.height


@pytest.mark.parametrize("kind", ["random", "blocks"])
def test_a_split_of_its_own_seed_is_the_same_for_every_run(kind: str) -> None:
    data = frame(list(range(20)) * 20)
    first = split_interactions(data, SplitConfig(kind=kind), 3)
    again = split_interactions(data, SplitConfig(kind=kind, seed=3), 8)
    other = split_interactions(data, SplitConfig(kind=kind), 8)
    for part in ("train", "valid", "test"):
        assert getattr(again, part).equals(getattr(first, part))
    assert not other.valid.equals(first.valid)


def latest(part: pl.DataFrame) -> int:
    return int(part["timestamp"].max() or 0)  # type: ignore[call-overload]


@settings(deadline=None, max_examples=60)
@given(users=users, share=st.floats(0.1, 0.9), valid=shares)
def test_a_split_by_time_trains_on_nothing_of_the_future(
    users: list[int], share: float, valid: float
) -> None:
    config = SplitConfig(kind="time", time_share=share, valid_share=valid)
    split = split_interactions(frame(users), config, 0)
    assert latest(split.train) < split.valid["timestamp"].min()  # type: ignore[operator]
    assert latest(split.valid) < split.test["timestamp"].min()  # type: ignore[operator]
    assert split.facts["moment_s"] == split.test["timestamp"].min()
    known = set(split.train["user_id"]) | set(split.valid["user_id"])
    assert split.facts["new_users"] == len(set(split.test["user_id"]) - known)
    moment = SplitConfig(kind="time", moment=str(split.facts["moment"]), valid_share=valid)
    assert split_interactions(frame(users), moment, 0).test.equals(split.test)


@settings(deadline=None, max_examples=60)
@given(users=users, last=st.integers(1, 3))
def test_each_users_last_interactions_are_test_and_those_before_them_valid(
    users: list[int], last: int
) -> None:
    data = frame([*users, 0, 0])
    split = split_interactions(data, SplitConfig(kind="last", last=last), 0)
    for user in set(users):
        mine = [part.filter(pl.col("user_id") == user) for part in
                (split.train, split.valid, split.test)]  # fmt: skip
        train, valid, test = (part["timestamp"].to_list() for part in mine)
        rows = len(train) + len(valid) + len(test)
        assert train
        assert len(test) == (last if rows > last else 0)
        assert len(valid) == (last if rows > 2 * last else 0)
        assert max(train) < min([*valid, *test, 10**9])
        assert max([*valid, 0]) < min([*test, 10**9])


def test_the_last_is_told_by_position_and_by_the_file_where_there_are_no_times() -> None:
    data = frame(["a"] * 3 + ["b"] * 3).with_columns(pl.lit(None, pl.Int64).alias("timestamp"))
    split = split_interactions(data, SplitConfig(kind="last"), 0)
    assert split.test["item_id"].to_list() == [2, 5]
    placed = data.with_columns(position=pl.Series([2, 0, 1, 0, 2, 1]))
    split = split_interactions(placed, SplitConfig(kind="last"), 0)
    assert split.test["item_id"].to_list() == [0, 4]
    assert split.valid["item_id"].to_list() == [2, 5]


def test_given_parts_are_taken_and_validation_is_drawn_where_none_is_given() -> None:
    data = frame([0, 1] * 10)
    split = split_interactions(data, SplitConfig(kind="given"), 0)
    assert split.test["item_id"].to_list() == [4, 9, 14, 19]
    assert split.valid["item_id"].to_list() == [3, 8, 13, 18]
    without = data.with_columns(pl.col("part").replace("valid", "train"))
    split = split_interactions(without, SplitConfig(kind="given", valid_share=0.25), 0)
    assert split.test["item_id"].to_list() == [4, 9, 14, 19]
    assert split.valid.height == 0.25 * 16


WITHOUT_TIMES = frame([0, 1] * 10).with_columns(pl.lit(None, pl.Int64).alias("timestamp"))


@pytest.mark.parametrize(
    ("data", "config", "message"),
    [
        (WITHOUT_TIMES, {"kind": "time"}, "20 of 20 interactions have no timestamp"),
        (frame([0, 1] * 10), {"kind": "time", "moment": "1999-01-01"}, "interaction lies after"),
        (frame([0, 1] * 10), {"kind": "time", "moment": "1960-01-01"}, "interaction lies before"),
        (frame([0, 1] * 10).drop("part"), {"kind": "given"}, "no column part"),
        (frame([0, 1] * 10).with_columns(part=pl.lit("train")), {"kind": "given"}, "test part"),
        (frame(list(range(20))), {"kind": "last"}, "The test part .* would be empty"),
    ],
)  # fmt: skip
def test_what_a_kind_cannot_divide_is_said(
    data: pl.DataFrame, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        split_interactions(data, SplitConfig(**config), 0)


def test_a_moment_that_is_no_time_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"split\.moment 'soon'"):
        split_interactions(frame([0, 1] * 10), SplitConfig(kind="time", moment="soon"), 0)


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
    with pytest.raises(ValidationError) as caught:
        SplitConfig(kind="alphabetic")
    assert all(f"'{name}'" in str(caught.value) for name in KINDS)


def test_too_few_rows_are_an_error() -> None:
    with pytest.raises(DataError, match="4 interactions cannot be cut into 5 folds"):
        split_interactions(frame([1] * 4), SplitConfig(), 0)
    with pytest.raises(DataError, match="none falls into the"):
        split_interactions(frame(list(range(50))), SplitConfig(), 0)


@pytest.mark.parametrize("kind", ["random", "given", "last"])
def test_positions_stay_with_their_rows_and_are_an_order_for_the_graph(kind: Any) -> None:
    # Left out here once, so that in a run nothing knew the order that the data have.
    users = [n % 20 for n in range(200)]
    data = frame(users).with_columns(
        pl.Series(POSITION, [n // 20 for n in range(200)]), pl.lit(None, pl.Int64).alias(TIMESTAMP),
        pl.Series(PART, (["train"] * 8 + ["valid", "test"]) * 20),
    )  # fmt: skip
    placed = data.select(USER, ITEM, POSITION)
    for split in (split_interactions(data, SplitConfig(kind=kind), 0), everything(data)):
        for part in (split.train, split.valid, split.test):
            if part.height:
                assert part.select(USER, ITEM, POSITION).equals(
                    placed.join(part, on=[USER, ITEM], how="semi", maintain_order="left")
                )
    known, items = data[USER].unique(), data[ITEM].unique()
    graph = InteractionGraph.from_interactions(split.train, known, items)
    assert graph.edges.times.tolist() == split.train[POSITION].to_list()


def test_everything_is_for_the_last_fit() -> None:
    data = frame([1, 2, 3])
    split = everything(data)
    assert split.train.equals(data.select(INTERACTIONS.keys()))
    assert split.kind == "none"
    assert split.valid.height == split.test.height == 0
    assert split.test.schema == split.train.schema


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
