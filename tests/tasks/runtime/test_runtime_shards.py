"""Shards of users: an artifact each, joined to the same whole, and only the missing ones redone."""

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dask
import polars as pl
import pytest
from prefect import flow

from recsys_core.artifacts import ArtifactRef, ArtifactStore, ArtifactWriter
from recsys_core.columns import CANDIDATES, ITEM, JUDGED, RANK, RANKING, USER, Schema
from recsys_core.config import FanOutConfig
from recsys_core.datasets.config import DataConfig
from recsys_core.errors import ConfigError, DataError
from recsys_core.llm.config import LLMConfig
from recsys_core.rerank.config import FusionConfig
from tasks.fusion import decide, fusion
from tasks.runtime.shards import Shard, fan_out, merge, merged_facts, shards
from tasks.runtime.step import RunLog, Submitted, one_record, run_log, step

CALLS: list[int] = []
BROKEN: set[int] = set()


@step("part", version="1")
def part(out: ArtifactWriter, lists: ArtifactRef, shard: Shard) -> None:
    """One part."""
    CALLS.append(shard.index)
    if shard.index in BROKEN:
        raise DataError(f"Part {shard.index} is broken.")
    own = shard.of(lists.table("lists"))
    out.table("lists", own, RANKING)
    out.fact("rows", own.height)


@step("joined", version="1")
def joined(out: ArtifactWriter, parts: list[ArtifactRef]) -> None:
    """All of them."""
    merge(out, parts, {"lists": RANKING})


@step("lists", version="1")
def lists_step(out: ArtifactWriter, users: int) -> None:
    """Lists of three."""
    out.table("lists", lists_of(users), RANKING)


def lists_of(users: int, dtype: Any = pl.String) -> pl.DataFrame:
    names = [f"u{n:03}" if dtype == pl.String else n for n in range(users)]
    rows = [(user, rank, rank) for user in names for rank in (1, 2, 3)]
    schema = {USER: dtype, ITEM: pl.Int64, RANK: pl.Int32}
    return pl.DataFrame(rows, schema=schema, orient="row")


def spread(store: ArtifactStore, users: int, fan: FanOutConfig) -> ArtifactRef:
    lists = lists_step(store, users)
    parts = shards(lists.table("lists"), LLMConfig(model="openai/some"), fan)

    def submit(shard: Shard) -> Submitted:
        return part.submit(store, lists, shard)

    with one_record("spread"):
        return joined(store, fan_out(parts, submit, fan, "spread"))


@flow
def spreading(store: ArtifactStore, users: int, fan: FanOutConfig) -> ArtifactRef:
    return spread(store, users, fan)


@pytest.fixture
def store(tmp_path: Path, prefect_server: None) -> ArtifactStore:
    CALLS.clear()
    BROKEN.clear()
    return ArtifactStore(root=str(tmp_path / "artifacts"))


def run(store: ArtifactStore, users: int = 10, **fan: Any) -> tuple[ArtifactRef, RunLog]:
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
    assert [one.step for one in log.steps] == ["lists", "spread"]
    assert log.steps[1].rows == 30
    assert not log.steps[1].cached
    _, again = run(store, shards_at_once=1)
    assert sorted(CALLS) == [0, 1, 2, 3]
    assert [one.cached for one in again.steps] == [True, True]


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


# Policy and fusion as steps


CHAIN: dict[str, Schema] = {"candidates": CANDIDATES, "valid_candidates": CANDIDATES}


@step("world", version="1")
def made(out: ArtifactWriter, valid: bool) -> None:
    """Six users with ten candidates each, of which the last one is liked."""
    rows = [(f"u{n}", f"i{rank}", rank, -float(rank)) for n in range(6) for rank in range(1, 11)]
    lists = pl.DataFrame(rows, schema=typed(CANDIDATES), orient="row")
    for name, schema in CHAIN.items():
        out.table(name, lists, schema)
    train = interactions(
        [(f"u{n}", f"t{m}", 4.0) for n in range(6) for m in range(3 + 9 * (n % 2))]
    )
    out.table("train", train, {USER: None})
    held = interactions([(f"u{n}", "i10", 5.0) for n in range(6)])
    out.table("valid", held if valid else held.clear(), {USER: None})
    out.table("users", pl.DataFrame({USER: [f"u{n}" for n in range(7)]}), {USER: None})


def typed(schema: Schema) -> dict[str, Any]:
    return {name: dtype or pl.String for name, dtype in schema.items()}


def interactions(rows: list[tuple[str, str, float]]) -> pl.DataFrame:
    schema = {USER: pl.String, ITEM: pl.String, "rating": pl.Float32}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.lit(None, pl.Int64).alias("timestamp")
    )


@step("judgements", version="1")
def judgements(out: ArtifactWriter, candidates: ArtifactRef, good: bool) -> None:
    """The model likes the last candidate best, or worst."""
    CALLS.append(1)
    score = pl.col(RANK) if good else -pl.col(RANK)
    judged = candidates.table("candidates").select(
        USER, ITEM, RANK, pl.col("score").alias("graph_score"),
        score.cast(pl.Float32).alias("llm_score"), pl.lit("relevancy").alias("strategy"),
    )  # fmt: skip
    out.table("judged", judged, JUDGED)


@flow
def fusing(
    store: ArtifactStore, config: FusionConfig, good: bool, valid: bool = True,
    tuned: ArtifactRef | None = None,
) -> tuple[ArtifactRef, ArtifactRef]:  # fmt: skip
    ref = made(store, valid)

    def judge(lists: ArtifactRef) -> ArtifactRef:
        return judgements(store, lists, good)

    policy = decide(store, ref, ref, ref, DataConfig().scale, config, 0, judge, tuned)
    return policy, fusion(store, ref, judge(ref), policy, config)


def changed(fused: ArtifactRef, table: str = "reranked") -> set[str]:
    lists = fused.table(table)
    return set(lists.filter((pl.col(RANK) == 1) & (pl.col(ITEM) != "i1"))[USER])


EVERYBODY = {f"u{n}" for n in range(6)}
COLD = {"u0", "u2", "u4"}


@pytest.mark.parametrize(
    ("config", "good", "users"),
    [
        ({}, True, EVERYBODY), ({}, False, set()), ({"policy": "cold-only"}, True, COLD),
    ],
)  # fmt: skip
def test_the_policy_decides_whose_lists_change(
    store: ArtifactStore, config: dict[str, Any], good: bool, users: set[str]
) -> None:
    policy, fused = fusing(store, FusionConfig(**config), good)
    assert changed(fused) == users
    if good:
        assert changed(fused, "everybody") == EVERYBODY
    assert policy.manifest.facts["why"] == ("best on validation" if not config else "configured")
    assert fused.manifest.facts["reranked_users"] == (6 if not config and good else len(users))


def test_another_weight_asks_nothing_anew(store: ArtifactStore) -> None:
    fusing(store, FusionConfig(), True)
    assert len(CALLS) == 2  # the validation sample, and everybody: the same lists here
    fusing(store, FusionConfig(llm_weight=0.5), True)
    fusing(store, FusionConfig(policy="all"), True)
    assert len(CALLS) == 2


def test_without_validation_the_tuned_choice_is_taken_over(store: ArtifactStore) -> None:
    tuned, _ = fusing(store, FusionConfig(), True)
    policy, fused = fusing(store, FusionConfig(), True, valid=False, tuned=tuned)
    assert changed(fused) == EVERYBODY
    assert policy.manifest.facts["why"] == "chosen with a validation split"
    alone, fused = fusing(store, FusionConfig(), True, valid=False)
    assert changed(fused) == set()
    assert alone.manifest.facts["why"] == "nothing to choose with"


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
