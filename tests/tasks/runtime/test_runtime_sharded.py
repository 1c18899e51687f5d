"""Shards of users: an artifact each, joined to the same whole, and only the missing ones redone."""

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dask
import polars as pl
import pytest
from prefect import flow

from recsys_core.artifacts import ArtifactStore, ArtifactWriter
from recsys_core.columns import ITEM, RANK, RANKING, USER
from recsys_core.config import FanOutConfig
from recsys_core.errors import ConfigError, DataError
from recsys_core.llm.config import LLMConfig
from tasks.runtime.references import ListsRef
from tasks.runtime.runs.run_log import RunLog, run_log
from tasks.runtime.sharded import Shard, merged_facts, sharded, shards
from tasks.runtime.step import step

CALLS: list[int] = []
BROKEN: set[int] = set()


@sharded("part", version="1", returns=ListsRef, lists="lists", tables={"lists": RANKING})
def spread(out: ArtifactWriter, shard: Shard, *, lists: ListsRef, llm: LLMConfig) -> None:
    """Copy the lists of a shard."""
    assert llm.uses_model
    CALLS.append(shard.index)
    if shard.index in BROKEN:
        raise DataError(f"Part {shard.index} is broken.")
    own = shard.of(lists.table("lists"))
    out.table("lists", own, RANKING)
    out.fact("rows", own.height)


@step("lists", version="1", returns=ListsRef)
def lists_step(out: ArtifactWriter, *, users: int) -> None:
    """Lists of three."""
    out.table("lists", lists_of(users), RANKING)


def lists_of(users: int, dtype: Any = pl.String) -> pl.DataFrame:
    names = [f"u{n:03}" if dtype == pl.String else n for n in range(users)]
    rows = [(user, rank, rank) for user in names for rank in (1, 2, 3)]
    schema = {USER: dtype, ITEM: pl.Int64, RANK: pl.Int32}
    return pl.DataFrame(rows, schema=schema, orient="row")


@flow
def spreading(store: ArtifactStore, users: int, fan: FanOutConfig) -> ListsRef:
    lists = lists_step(store, users=users)
    return spread(store, fan, lists=lists, llm=LLMConfig(model="openai/some"))


@pytest.fixture
def store(tmp_path: Path, prefect_server: None) -> ArtifactStore:
    CALLS.clear()
    BROKEN.clear()
    return ArtifactStore(root=str(tmp_path / "artifacts"))


def run(store: ArtifactStore, users: int = 10, **fan: Any) -> tuple[ListsRef, RunLog]:
    with run_log() as log:
        ref = spreading(store, users, FanOutConfig(**{"shard_users": 3, **fan}))
    return ref, log


@pytest.mark.parametrize("users", [1, 2, 7, 10])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("dtype", [pl.String, pl.Int64])
def test_parts_are_even_but_for_a_half_at_first_and_make_up_the_whole(
    users: int, count: int, dtype: Any
) -> None:
    lists = lists_of(users, dtype)
    parts = [Shard(index=n, count=count).of(lists) for n in range(count)]
    assert pl.concat(parts).equals(lists)
    sizes = [one[USER].n_unique() for one in parts]
    assert max(sizes[1:] or sizes) - min(sizes[1:] or sizes) <= 1
    assert sizes[0] <= max(sizes)
    if count > 1:
        assert abs(2 * sizes[0] - max(sizes)) <= 2


def test_rules_take_everybody_at_once_and_models_a_shard_at_a_time() -> None:
    lists, fan = lists_of(130), FanOutConfig(shard_users=64)
    assert shards(lists, LLMConfig(), fan) == [Shard()]
    models = shards(lists, LLMConfig(model="openai/some"), fan)
    assert models == [Shard(index=n, count=3) for n in range(3)]
    assert all(one.of(lists)[USER].n_unique() <= fan.shard_users for one in models)
    assert shards(lists.clear(), LLMConfig(model="openai/some"), fan) == [Shard()]


def test_facts_add_up() -> None:
    merged = merged_facts(
        [{"failed": 1, "by": {"a": 1}, "run_dollars": 1.5, "strategy": "x", "none": None},
         {"failed": 2, "by": {"a": 2, "b": 1}, "run_dollars": 1.2, "strategy": "x", "more": 1}]
    )  # fmt: skip
    assert merged == {
        "failed": 3, "by": {"a": 3, "b": 1}, "run_dollars": 1.5, "strategy": "x", "none": None,
        "more": 1,
    }  # fmt: skip


def test_the_joined_parts_are_the_whole_and_stand_in_the_log_as_one(store: ArtifactStore) -> None:
    ref, log = run(store)
    assert ref.table("lists").equals(lists_of(10))
    assert sorted(CALLS) == [0, 1, 2, 3]
    assert [one.step for one in log.steps] == ["lists", "part"]
    assert log.steps[1].rows == 30
    assert not log.steps[1].cached
    _, again = run(store, shards_at_once=1)
    assert sorted(CALLS) == [0, 1, 2, 3]
    assert [one.cached for one in again.steps] == [True, True]


def test_a_sharded_step_names_the_input_it_is_sharded_over() -> None:
    declare = sharded("x", version="1", returns=ListsRef, lists="lists", tables={})
    with pytest.raises(TypeError, match="no input lists, llm"):
        declare(lambda out, shard: None)


def test_only_the_unfinished_parts_are_redone(store: ArtifactStore) -> None:
    BROKEN.add(2)
    with pytest.raises(DataError, match="Part 2"):
        run(store)
    assert {0, 1, 2} <= set(CALLS)
    done = set(CALLS) - {2}
    CALLS.clear()
    BROKEN.clear()
    ref, log = run(store)
    assert set(CALLS) == {0, 1, 2, 3} - done
    assert ref.table("lists").equals(lists_of(10))
    assert not log.steps[-1].cached


def test_a_damaged_part_alone_is_redone(store: ArtifactStore) -> None:
    run(store)
    table = next(iter(sorted(Path(store.root, "part").rglob("lists.parquet"))))
    table.write_bytes(b"damaged")
    CALLS.clear()
    run(store)
    assert len(CALLS) == 1


@pytest.mark.slow
def test_two_dask_workers_give_the_same_bytes(store: ArtifactStore, tmp_path: Path) -> None:
    threads, _ = run(store)
    elsewhere = ArtifactStore(root=str(tmp_path / "on dask"))
    with patch.dict(os.environ):  # Dask leaves OMP_NUM_THREADS=1 and its like behind
        spread_out, log = run(elsewhere, runner="dask", dask_workers=2)
    assert spread_out.content_hash == threads.content_hash
    assert not log.steps[-1].cached
    assert sorted(CALLS) == [0, 1, 2, 3], "the second four were made in other processes"


def test_a_dask_scheduler_that_is_not_there(store: ArtifactStore) -> None:
    quick = dask.config.set({"distributed.comm.timeouts.connect": "300ms"})
    with quick, pytest.raises(ConfigError, match=r"tcp://127\.0\.0\.1:9 does not answer") as stop:
        run(store, runner="dask", dask_address="tcp://127.0.0.1:9")
    assert "dask scheduler" in str(stop.value)
