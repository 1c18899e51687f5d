"""An earlier run's model is found by the run's name, and not used where it knows too much."""

import json
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import save

from recsys_core.artifacts import ArtifactRef, ArtifactStore
from recsys_core.columns import INTERACTIONS, ITEM, RATING, TIMESTAMP, USER, vectors
from recsys_core.config import RunConfig
from recsys_core.errors import ConfigError, DamagedArtifact
from recsys_core.graph.config import GraphConfig
from recsys_core.interactions.lookup import vector_table
from tasks.runtime.references import HeldOutRef, ModelRef, SplitRef
from tasks.runtime.warm_start import WARM, Earlier, earlier_model, honest_start, start_of

Rows = list[tuple[int, int]]


def split(store: ArtifactStore, name: str, train: Rows, valid: Rows, test: Rows) -> SplitRef:
    with store.writer(name.rstrip("0123456789"), name) as out:
        for table, rows in (("train", train), ("valid", valid), ("test", test)):
            full = [(user, item, 5.0, None) for user, item in rows]
            names = (USER, ITEM, RATING, TIMESTAMP)
            types = (pl.Int64, pl.Int64, pl.Float32, pl.Int64)
            frame = pl.DataFrame(full, schema=dict(zip(names, types, strict=True)), orient="row")
            out.table(table, frame, INTERACTIONS)
        return out.commit(
            version="1", parameters={}, inputs={}, built_by="", seconds=0, peak_memory_mib=0
        ).as_type(SplitRef)


def model(store: ArtifactStore, name: str, of: SplitRef, *, warm: bool = False) -> ModelRef:
    with store.writer("train", name) as out:
        for table, key in (("users", USER), ("items", ITEM)):
            found = vector_table(pl.Series(key, [1, 2]), torch.ones(2, 3).numpy())
            out.table(table, found, vectors(key, 3))
        out.data("weights.safetensors", save({"ids": torch.ones(4, 2)}))
        out.fact(WARM, warm)
        return out.commit(
            version="1", parameters={}, inputs={"split": of.content_hash}, built_by="", seconds=0,
            peak_memory_mib=0,
        ).as_type(ModelRef)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(root=str(tmp_path / "artifacts"))


@pytest.fixture
def old(store: ArtifactStore) -> SplitRef:
    return split(store, "split1", [(1, 1), (1, 2)], [(2, 1)], [(2, 2)])


def config(tmp_path: Path, name: str = "before") -> RunConfig:
    return RunConfig(graph=GraphConfig(warm_start_from=name), runs_root=str(tmp_path / "runs"))


def finished(tmp_path: Path, steps: list[tuple[str, ArtifactRef]]) -> Path:
    folder = tmp_path / "runs" / "before"
    folder.mkdir(parents=True)
    rows = [{"step": step, "artifact": ref.uri} for step, ref in steps]
    (folder / "summary.json").write_text(json.dumps({"steps": rows}))
    return folder


def test_a_run_is_named_by_its_name_or_its_folder(
    tmp_path: Path, store: ArtifactStore, old: SplitRef
) -> None:
    all_rows = split(store, "split_everything2", [(1, 1), (1, 2), (2, 1), (2, 2)], [], [])
    first, last = model(store, "first", old), model(store, "last", all_rows)
    folder = finished(
        tmp_path,
        [("split", old), ("train", first), ("split_everything", all_rows), ("train", last)],
    )
    for name in ("before", str(folder)):
        evaluated = earlier_model(config(tmp_path, name))
        served = earlier_model(config(tmp_path, name), refit=True)
        assert evaluated is not None
        assert served is not None
        assert (evaluated.model, evaluated.split) == (first, old)
        assert (served.model, served.split) == (last, all_rows)
    assert earlier_model(RunConfig()) is None


@pytest.mark.parametrize("steps", [[], ["split"], ["train"]])
def test_a_run_without_a_model_and_its_split_is_a_config_error(
    steps: list[str], tmp_path: Path, store: ArtifactStore, old: SplitRef
) -> None:
    there = {"split": old, "train": model(store, "first", old)}
    finished(tmp_path, [(name, there[name]) for name in steps])
    with pytest.raises(ConfigError, match="warm_start_from"):
        earlier_model(config(tmp_path))


def test_no_such_run_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'before'"):
        earlier_model(config(tmp_path))


def test_a_model_that_is_gone_is_told(tmp_path: Path, store: ArtifactStore, old: SplitRef) -> None:
    gone = model(store, "first", old)
    finished(tmp_path, [("split", old), ("train", gone)])
    (Path(gone.uri) / "weights.safetensors").unlink()
    with pytest.raises(DamagedArtifact):
        earlier_model(config(tmp_path))


def test_it_is_used_where_nothing_that_is_held_out_was_seen(
    store: ArtifactStore, old: SplitRef
) -> None:
    new = split(store, "split3", [(1, 1), (1, 2), (2, 1)], [(1, 3)], [(2, 2)])
    found, why = honest(model(store, "first", old), old, new)
    assert why == "used"
    start = start_of(found)
    assert start is not None
    assert start.user_ids.to_list() == [1, 2]
    assert start.weights["ids"].shape == (4, 2)


@pytest.mark.parametrize(
    ("valid", "test"), [([(1, 1)], [(2, 2)]), ([(1, 3)], [(2, 1)])], ids=["trained", "stopped"]
)
def test_it_is_not_used_where_it_has_seen_a_held_out_row(
    valid: Rows, test: Rows, store: ArtifactStore, old: SplitRef
) -> None:
    new = split(store, "split3", [], valid, test)
    found, why = honest(model(store, "first", old), old, new)
    assert start_of(found) is None
    assert "trained on 1 of the held-out rows" in why


def test_a_chain_of_warm_starts_ends_where_something_is_held_out(
    store: ArtifactStore, old: SplitRef
) -> None:
    chained = model(store, "first", old, warm=True)
    assert honest(chained, old, split(store, "split3", [], [(1, 3)], []))[0] is None
    everything = split(store, "split4", [(1, 3)], [], [])
    assert honest(chained, old, everything)[1] == "used"
    assert honest_start(None, split=old, held_out=None) == (None, "not asked for")


def honest(earlier: ModelRef, of: SplitRef, now: SplitRef) -> tuple[ModelRef | None, str]:
    known = Earlier(model=earlier, split=of)
    return honest_start(known, split=now, held_out=now.as_type(HeldOutRef))
