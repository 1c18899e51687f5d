"""An earlier run is found by name or as the last one, and not used where it knows too much."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save

from recsys_core.artifacts import ArtifactRef, ArtifactStore
from recsys_core.columns import (
    INTERACTIONS,
    ITEM,
    RATING,
    TIMESTAMP,
    USER,
    VALIDATED,
    VALUE,
    vectors,
)
from recsys_core.config import RunConfig
from recsys_core.errors import ConfigError, StorageError
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.inference.saved_model import COMPONENTS_FILE, WEIGHTS_FILE
from recsys_core.graph.training.warm_start import LIGHTGCN_BASE
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import vector_table
from tasks.runtime.references import LEARNED, EmbeddingsRef, HeldOutRef, ModelRef, SplitRef
from tasks.runtime.runs.last_runs import LastRun, LastRuns, moved_rows
from tasks.runtime.saved_models import SEARCHED
from tasks.runtime.warm_start import (
    BEST_EPOCH,
    CHOICE,
    OWED,
    VALIDATED_USERS,
    WENT_ON,
    Earlier,
    changed_share,
    going_on,
    honest_start,
    last_run,
    named_run,
    relevant_items,
    validated,
)

Rows = list[tuple[int, int]]
EPOCHS = 10
VALIDATED_THEN = pl.DataFrame({USER: [1, 2, 4], ITEM: [[5, 6], [7], [8]], VALUE: [0.5, 0.25, 1.0]})


def split(store: ArtifactStore, name: str, train: Rows, valid: Rows, test: Rows = []) -> SplitRef:  # noqa: B006
    with store.writer(name.rstrip("0123456789"), name) as out:
        for table, rows in (("train", train), ("valid", valid), ("test", test)):
            full = [(user, item, 5.0, None) for user, item in rows]
            names = (USER, ITEM, RATING, TIMESTAMP)
            types = (pl.Int64, pl.Int64, pl.Float32, pl.Int64)
            frame = pl.DataFrame(full, schema=dict(zip(names, types, strict=True)), orient="row")
            out.table(table, frame, INTERACTIONS)
        out.fact(LEARNED, "train+valid", in_content=True)
        return committed(out).as_type(SplitRef)


def committed(out: object) -> ArtifactRef:
    return out.commit(  # type: ignore[attr-defined, no-any-return]
        version="1", parameters={}, inputs={}, built_by="", seconds=0, peak_memory_mib=0
    )


def model(store: ArtifactStore, name: str, **facts: object) -> ModelRef:
    with store.writer("train", name) as out:
        for table, key in (("users", USER), ("items", ITEM)):
            found = vector_table(pl.Series(key, [1, 2]), torch.ones(2, 3).numpy())
            out.table(table, found, vectors(key, 3))
        for prefix, value in (("", 1.0), (SEARCHED, 2.0)):
            out.data(f"{prefix}{WEIGHTS_FILE}", save({"ids": torch.full((4, 2), value)}))
            base = {LIGHTGCN_BASE: torch.full((4, 3), value), "ease.items": torch.ones(1)}
            out.data(f"{prefix}{COMPONENTS_FILE}", save(base))
        out.table(VALIDATED_USERS, VALIDATED_THEN, VALIDATED)
        told = {BEST_EPOCH: EPOCHS, CHOICE: None, OWED: 0.0, WENT_ON: None, **facts}
        for fact, value in told.items():
            out.fact(fact, value, in_content=True)
        return committed(out).as_type(ModelRef)


def texts(store: ArtifactStore) -> EmbeddingsRef:
    with store.writer("embeddings", "texts") as out:
        out.table(
            "items",
            vector_table(pl.Series(ITEM, [1, 2]), torch.ones(2, 3).numpy()),
            vectors(ITEM, 3),
        )
        return committed(out).as_type(EmbeddingsRef)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(root=str(tmp_path / "artifacts"))


@pytest.fixture
def old(store: ArtifactStore) -> SplitRef:
    return split(store, "split1", [(1, 1), (1, 2)], [(2, 1)])


def config(tmp_path: Path, name: str | None = None, **graph: object) -> RunConfig:
    return RunConfig(
        graph=GraphConfig(warm_start_from=name, **graph),  # type: ignore[arg-type]
        runs_root=str(tmp_path / "runs"),
        artifact_root=str(tmp_path / "artifacts"),
    )


def left(store: ArtifactStore, of: SplitRef, found: ModelRef | None = None, **more: str) -> LastRun:
    made = {
        "split": of.uri,
        "train": (found or model(store, "first")).uri,
        "embeddings": texts(store).uri,
    }
    return LastRun(run="before", source="there", artifacts=made | more)


# Found


def finished(tmp_path: Path, steps: list[tuple[str, ArtifactRef]]) -> Path:
    folder = tmp_path / "runs" / "before"
    folder.mkdir(parents=True)
    rows = [{"step": step, "artifact": ref.uri} for step, ref in steps]
    (folder / "summary.json").write_text(json.dumps({"steps": rows}))
    return folder


def test_a_run_is_named_by_its_name_or_its_folder(
    tmp_path: Path, store: ArtifactStore, old: SplitRef
) -> None:
    every = split(store, "split_everything2", [(1, 1), (1, 2), (2, 1), (2, 2)], [])
    first, last = model(store, "first"), model(store, "last", mark=1)
    steps = [("split", old), ("embeddings", texts(store)), ("train", first)]
    folder = finished(tmp_path, [*steps, ("split_everything", every), ("train", last)])
    for name in ("before", str(folder)):
        found = named_run(config(tmp_path, name))
        assert found is not None
        assert (found.model(), found.split()) == (first, old)
        assert (found.model(served=True), found.split(served=True)) == (last, every)
    assert named_run(RunConfig()) is None


@pytest.mark.parametrize("steps", [[], ["split", "embeddings"], ["train", "embeddings"]])
def test_a_run_without_a_model_and_its_split_is_a_config_error(
    steps: list[str], tmp_path: Path, store: ArtifactStore, old: SplitRef
) -> None:
    there = {"split": old, "train": model(store, "first"), "embeddings": texts(store)}
    finished(tmp_path, [(name, there[name]) for name in steps])
    with pytest.raises(ConfigError, match="warm_start_from"):
        named_run(config(tmp_path, "before"))


def test_no_such_run_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'before'"):
        named_run(config(tmp_path, "before"))


def test_the_last_run_is_that_of_the_same_configuration_and_data(
    tmp_path: Path, store: ArtifactStore, old: SplitRef
) -> None:
    here, other = config(tmp_path), config(tmp_path, hidden=32)
    others = split(store, "split8", [(7, 7), (7, 8)], [(8, 7)])
    assert last_run(here, old) is None
    mine, foreign = left(store, old), left(store, others).model_copy(update={"source": "elsewhere"})
    LastRuns(here).put(mine)
    LastRuns(here).put(foreign)
    assert LastRuns(here).all() == [foreign, mine]
    more = split(store, "split9", [(1, 1), (1, 2), (1, 3)], [(2, 1)])
    assert last_run(here, more) == mine, "the newest one is of other data"
    assert last_run(other, more) is None
    elsewhere = here.model_copy(update={"runs_root": "x", "run_name": "y"})
    assert last_run(elsewhere, more) == mine
    again = mine.model_copy(update={"run": "again"})
    LastRuns(here).put(again)
    assert LastRuns(here).all() == [again, foreign]


def test_a_damaged_note_of_the_last_runs_is_told(
    tmp_path: Path, store: ArtifactStore, old: SplitRef
) -> None:
    LastRuns(config(tmp_path)).put(left(store, old))
    (file,) = (tmp_path / "artifacts" / "state" / "last_runs").glob("*.json")
    file.write_text("[{")
    with pytest.raises(StorageError, match="last ones"):
        last_run(config(tmp_path), old)


# Used, or not


def honest(last: LastRun | None, now: SplitRef, **graph: object) -> tuple[Earlier | None, str]:
    return honest_start(
        last, RunConfig(graph=GraphConfig(**graph)), split=now, held_out=now.as_type(HeldOutRef)  # type: ignore[arg-type]
    )  # fmt: skip


def test_it_is_used_where_nothing_that_is_held_out_was_seen(
    store: ArtifactStore, old: SplitRef
) -> None:
    new = split(store, "split3", [(1, 1), (1, 2), (2, 3)], [(2, 1)], [(2, 2)])
    found, why = honest(left(store, old), new)
    assert found is not None
    assert why == "used: before"


@pytest.mark.parametrize(
    ("valid", "test", "seen"),
    [
        ([(1, 1)], [(2, 2)], "learned from 1 of the 1 validation rows"),
        (
            [(1, 3)],
            [(2, 1), *((user, 9) for user in range(200))],
            "learned from 1 of 201 test rows",
        ),
    ],
    ids=["trained", "stopped"],
)
def test_it_is_not_used_where_it_has_seen_held_out_rows(
    valid: Rows, test: Rows, seen: str, store: ArtifactStore, old: SplitRef
) -> None:
    new = split(store, "split3", [(1, 2)], valid, test)
    found, why = honest(left(store, old), new)
    assert found is None
    assert seen in why


def test_of_a_few_seen_rows_the_users_start_anew(store: ArtifactStore) -> None:
    many = [(user, 1) for user in range(300)]
    before = split(store, "split4", [*many, (1, 2)], [])
    now = split(store, "split5", many, [(1, 2), *((user, 5) for user in range(200))])
    found, why = honest(left(store, before), now)
    assert found is not None
    assert "1 of the 201 validation rows" in why
    assert moved_rows(before, now).rows() == [(1, 2)]


def test_what_switches_it_off_or_is_gone_is_told(store: ArtifactStore, old: SplitRef) -> None:
    now = split(store, "split3", [(1, 1), (1, 2)], [(2, 1)])
    assert honest(left(store, old), now, warm_start=False) == (None, "switched off")
    assert "no earlier run" in honest(None, now)[1]
    gone = left(store, old)
    (Path(gone.artifacts["train"]) / WEIGHTS_FILE).unlink()
    assert honest(gone, now)[1] == "not used: what the run before left is gone"
    old_version = left(store, old, model(store, "second", **{BEST_EPOCH: 0}))
    assert "earlier version" in honest(old_version, now)[1]


def test_the_second_pass_chooses_anew_where_the_first_did(
    store: ArtifactStore, old: SplitRef
) -> None:
    every = split(store, "split_everything2", [(1, 1), (1, 2), (2, 1)], [])
    served = {"served_split": every.uri, "served_train": model(store, "served").uri,
              "served_embeddings": texts(store).uri}  # fmt: skip
    last = left(store, old, **served)
    anew, on = model(store, "anew"), model(store, "on", **{WENT_ON: "before"})
    other = model(store, "other", **{WENT_ON: "before", CHOICE: {"weights": {}}})
    told = [
        honest_start(last, RunConfig(), split=every, held_out=None, tuned=tuned)
        for tuned in (anew, on, other)
    ]
    assert [found is not None for found, _ in told] == [False, True, False]
    assert "chosen anew" in told[0][1]


# By how much


def test_changes_are_what_came_went_or_has_another_rating(
    store: ArtifactStore, old: SplitRef
) -> None:
    now = split(store, "split3", [(1, 1), (3, 1), (3, 2)], [(2, 1)])
    assert changed_share(old, now) == (2 + 1) / 4
    assert changed_share(old, old) == 0


@pytest.mark.parametrize(
    ("owed", "epochs", "still"), [(0.0, 0, 0.02), (0.09, 1, 0.01), (0.3, 3, 0.02)]
)
def test_epochs_are_those_that_all_changes_amount_to(
    owed: float, epochs: int, still: float, store: ArtifactStore
) -> None:
    rows = [(1, item) for item in range(49)]
    before, now = split(store, "split6", rows, []), split(store, "split7", [*rows, (2, 1)], [])
    earlier = Earlier(
        run="r", model=model(store, "owing", **{OWED: owed}), split=before, embeddings=texts(store)
    )
    relevant = relevant_items(now.table("valid"), RatingScale())
    training, stays = going_on(
        earlier, now, relevant=relevant, users=pl.Series(USER, [1, 2]), features="items", fall=0.03
    )
    assert training.epochs == epochs
    assert training.search.share == epochs / EPOCHS
    assert stays == pytest.approx(still)
    assert training.searched == EPOCHS
    assert training.search.weights["ids"][0, 0] == 2
    assert training.served.weights["ids"][0, 0] == 1
    assert training.search.weights[LIGHTGCN_BASE][0, 0] == 2
    assert set(training.served.network) == {"ids"}


def test_the_earlier_ndcg_is_that_of_users_with_the_same_held_out_items(
    store: ArtifactStore,
) -> None:
    rows = [(1, item) for item in range(4)]
    before = split(store, "split6", rows, [])
    now = split(store, "split7", rows, [(1, 6), (1, 5), (2, 7), (2, 8), (3, 1)])
    relevant = relevant_items(now.table("valid"), RatingScale())
    users = pl.Series(USER, [3, 2, 1])
    earlier = Earlier(run="r", model=model(store, "m"), split=before, embeddings=texts(store))
    training, _ = going_on(
        earlier, now, relevant=relevant, users=users, features="items", fall=0.03
    )
    assert training.ndcg[2] == 0.5
    assert np.isnan(training.ndcg[:2]).all()
    kept = validated(relevant, users, np.array([0.1, np.nan, 0.5]))
    assert kept.rows() == [(1, [5, 6], 0.5), (3, [1], 0.1)]
