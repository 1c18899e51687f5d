"""A step is done once, trusted never: caching, damage, retries and interruption."""

import base64
import importlib.metadata
import json
import pickle
from pathlib import Path

import polars as pl
import pytest
from prefect import flow
from prefect.settings import get_current_settings

from recsys_core.artifacts import ArtifactRef, ArtifactStore, ArtifactWriter
from recsys_core.columns import ITEM, RANK, RANKING, USER
from recsys_core.errors import DataError, SourceUnavailable
from tasks.runtime.keys import content_key
from tasks.runtime.runs.run_log import RunLog, run_log
from tasks.runtime.step import kept_only, step

pytestmark = pytest.mark.usefixtures("prefect_server")

CALLS: list[str] = []
FAILURES: list[Exception] = []


class NumbersRef(ArtifactRef):
    """A table of numbers."""


@step("numbers", version="1", returns=NumbersRef)
def numbers(out: ArtifactWriter, *, count: int, start: int = 0) -> None:
    """Count."""
    CALLS.append("numbers")
    if FAILURES:
        raise FAILURES.pop(0)
    values = list(range(start, start + count))
    schema = {USER: pl.Int64, ITEM: pl.Int64, RANK: pl.Int32}
    frame = pl.DataFrame({USER: values, ITEM: values, RANK: values}, schema=schema)
    out.table("numbers", frame, RANKING)


GRID = [1, 2]


@step("gridded", version="1", returns=NumbersRef, rests_on=lambda inputs: {"grid": [*GRID]})
def gridded(out: ArtifactWriter, *, count: int) -> None:
    """Count the grid."""
    CALLS.append("gridded")
    rows = [(count, one, 1) for one in GRID]
    schema = {USER: pl.Int64, ITEM: pl.Int64, RANK: pl.Int32}
    out.table("numbers", pl.DataFrame(rows, schema=schema, orient="row"), RANKING)


@step("fitted", version="1", returns=NumbersRef, libraries=("implicit",))
def fitted(out: ArtifactWriter, *, count: int) -> None:
    """Count by a library."""
    CALLS.append("fitted")
    rows = [(number, number, 1) for number in range(count)]
    schema = {USER: pl.Int64, ITEM: pl.Int64, RANK: pl.Int32}
    out.table("numbers", pl.DataFrame(rows, schema=schema, orient="row"), RANKING)


@step("started", version="1", returns=NumbersRef, hints=("earlier",))
def started(out: ArtifactWriter, *, count: int, earlier: NumbersRef | None = None) -> None:
    """Go on from an earlier table."""
    CALLS.append("started")
    before = 0 if earlier is None else earlier.rows
    schema = {USER: pl.Int64, ITEM: pl.Int64, RANK: pl.Int32}
    rows = [(number, number, 1) for number in range(before + count)]
    out.table("numbers", pl.DataFrame(rows, schema=schema, orient="row"), RANKING)


@step("doubled", version="1", returns=ArtifactRef)
def doubled(out: ArtifactWriter, *, source: NumbersRef) -> None:
    """Double."""
    CALLS.append("doubled")
    frame = source.table("numbers")
    out.table("numbers", pl.concat([frame, frame]), RANKING)


@flow
def pipeline(store: ArtifactStore, count: int) -> None:
    doubled(store, source=numbers(store, count=count))


@flow
def counting(store: ArtifactStore, count: int) -> NumbersRef:
    return numbers(store, count=count)


@pytest.fixture(autouse=True)
def fresh() -> None:
    CALLS.clear()
    FAILURES.clear()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(root=str(tmp_path / "artifacts"))


def run(store: ArtifactStore, count: int = 3) -> RunLog:
    with run_log() as log:
        pipeline(store, count)
    return log


def test_a_second_run_computes_nothing(store: ArtifactStore) -> None:
    first, second = run(store), run(store)
    assert CALLS == ["numbers", "doubled"]
    assert [record.cached for record in first.steps] == [False, False]
    assert [record.cached for record in second.steps] == [True, True]
    assert [record.rows for record in second.steps] == [3, 6]
    assert all(record.peak_memory_mib > 10 for record in second.steps)


def test_another_parameter_is_other_work(store: ArtifactStore) -> None:
    run(store, 3)
    run(store, 4)
    assert CALLS == ["numbers", "doubled"] * 2


def test_another_root_is_filled_anew(store: ArtifactStore, tmp_path: Path) -> None:
    run(store)
    run(ArtifactStore(root=str(tmp_path / "elsewhere")))
    assert CALLS == ["numbers", "doubled"] * 2


@pytest.mark.parametrize("harm", ["delete", "truncate", "alter", "no manifest"])
def test_a_damaged_artifact_is_rebuilt_and_what_follows_is_kept(store, harm) -> None:
    folder = Path(run(store).steps[0].ref.uri)
    table = folder / "numbers.parquet"
    if harm == "delete":
        table.unlink()
    elif harm == "truncate":
        table.write_bytes(table.read_bytes()[:20])
    elif harm == "alter":
        table.write_bytes(table.read_bytes()[:-1] + b"?")
    else:
        (folder / "manifest.json").unlink()
    CALLS.clear()
    log = run(store)
    # Rebuilt to the same bytes, so the next step's key is the same and its artifact still good.
    assert CALLS == ["numbers"]
    assert [record.cached for record in log.steps] == [False, True]


def test_an_artifact_without_prefects_record_is_used(store: ArtifactStore) -> None:
    with store.writer("numbers", content_key("numbers", "1", {"count": 3, "start": 0}, {})) as out:
        numbers.__wrapped__(out, count=3)
        out.commit(
            version="1", parameters={}, inputs={}, built_by="before", seconds=0, peak_memory_mib=1
        )
    CALLS.clear()
    run(store)
    assert CALLS == ["doubled"]


def test_defaults_do_not_change_the_key(store: ArtifactStore) -> None:
    @flow
    def explicit() -> ArtifactRef:
        return numbers(store, count=3, start=0)

    assert counting(store, 3) == explicit()
    assert CALLS == ["numbers"]


def test_remote_trouble_is_retried(store: ArtifactStore, monkeypatch) -> None:
    monkeypatch.setattr("prefect.task_engine.time.sleep", lambda seconds: None)
    FAILURES.append(SourceUnavailable("The host does not answer."))
    assert counting(store, 3).rows == 3
    assert CALLS == ["numbers"] * 2


@pytest.mark.parametrize("error", [DataError("A column is missing."), TypeError("a bug")])
def test_bad_input_and_bugs_are_not_retried(store, error) -> None:
    FAILURES.append(error)
    with pytest.raises(type(error), match=str(error)):
        counting(store, 3)
    assert CALLS == ["numbers"]


def test_what_failed_is_not_remembered(store: ArtifactStore) -> None:
    FAILURES.append(DataError("A column is missing."))
    with pytest.raises(DataError):
        counting(store, 3)
    assert counting(store, 3).rows == 3


def test_a_file_changed_on_disk_is_seen_by_the_next_step_of_the_same_run(store) -> None:
    ref = counting(store, 3)
    assert NumbersRef.model_validate_json(ref.model_dump_json()) == ref
    Path(ref.uri, "numbers.parquet").write_bytes(b"not parquet")
    with pytest.raises(ValueError, match="has 11 bytes"):
        NumbersRef.model_validate_json(ref.model_dump_json())


def test_a_reference_keeps_its_type_through_prefects_record(store: ArtifactStore) -> None:
    found = [counting(store, 3), counting(store, 3)]
    assert CALLS == ["numbers"], "the second one comes from the persisted result"
    assert [type(ref) for ref in found] == [NumbersRef, NumbersRef]


def test_what_a_step_rests_on_beside_its_inputs_is_in_its_key_and_its_manifest(store) -> None:
    @flow
    def searching() -> NumbersRef:
        return gridded(store, count=1)

    assert searching() == searching()
    assert CALLS == ["gridded"]
    GRID.append(3)
    try:
        assert searching().manifest.parameters == {"count": 1, "grid": [1, 2, 3]}
    finally:
        GRID.pop()
    assert CALLS == ["gridded"] * 2
    assert searching().rows == 2, "the grid as it was has its artifact still"


def test_another_version_of_a_library_that_changes_a_result_makes_it_anew(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    @flow
    def fitting() -> NumbersRef:
        return fitted(store, count=1)

    first = fitting()
    real = importlib.metadata.version
    installed = {"torch": "9.9"}
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: installed.get(name) or real(name)
    )
    assert fitting() == first, "torch is none of its libraries"
    installed["implicit"] = "9.9"
    assert fitting().manifest.parameters["libraries"] == {"implicit": "9.9"}
    assert CALLS == ["fitted"] * 2


def test_where_a_step_starts_from_is_in_no_key_and_an_artifact_that_is_there_is_taken(
    store,
) -> None:
    @flow
    def going_on(count: int, earlier: NumbersRef | None = None) -> NumbersRef:
        return started(store, count=count, earlier=earlier)

    first = going_on(2)
    second = going_on(3, first)
    assert (first.rows, second.rows) == (2, 5)
    assert going_on(3, second) == second
    assert going_on(3) == second
    assert CALLS == ["started"] * 2
    told = second.manifest
    assert told.inputs == {}, "what it started from may be removed"
    assert told.parameters == {"count": 3}
    with kept_only():
        assert started(store, count=3, earlier=first) == second


def test_a_table_that_is_no_content_changes_no_hash_and_is_verified(store) -> None:
    refs = []
    for number in (1, 2):
        with store.writer("made", f"{number}" * 64) as out:
            frame = pl.DataFrame({USER: [number]})
            out.table("ledger", frame, {USER: pl.Int64}, in_content=False)
            out.table("numbers", frame.with_columns(pl.lit(0).alias(USER)), {USER: None})
            refs.append(out.commit(version="1", parameters={}, inputs={}, built_by="", seconds=0,
                                   peak_memory_mib=0))  # fmt: skip
    assert refs[0].content_hash == refs[1].content_hash
    assert refs[0].table("ledger")[USER].to_list() == [1]
    Path(refs[0].uri, "ledger.parquet").write_bytes(b"altered")
    assert store.find("made", "1" * 64) is None


PLANTED = [
    {"type": "pickle"}, {"type": "compressed/pickle"}, {"type": "json"},
    {"type": "json", "object_decoder": "os.system"}, {"type": "json", "jsonlib": "pickle"},
    {"type": "nothing"},
]  # fmt: skip


@pytest.mark.parametrize("serializer", PLANTED, ids=str)
def test_a_record_that_wants_another_serializer_runs_no_code_and_is_a_miss(
    serializer: dict[str, str], store: ArtifactStore, tmp_path: Path
) -> None:
    expected = counting(store, count=3)
    storage = get_current_settings().results.local_storage_path
    touched = tmp_path / "touched"
    attack = f"open({str(touched)!r}, 'w')"
    call = {"__exc_type__": "builtins.eval", "message": attack}
    bomb = base64.b64encode(pickle.dumps(_Bomb(attack))).decode()
    payload = json.dumps(call) if serializer["type"] == "json" else bomb
    record = {"metadata": {"serializer": serializer}, "result": payload}
    planted = 0
    for path in storage.rglob("*"):
        if path.is_file() and expected.uri in path.read_text(errors="replace"):
            path.write_text(json.dumps(record))
            planted += 1
    assert planted
    again = counting(store, count=3)
    assert not touched.exists()
    assert again.content_hash == expected.content_hash
    assert CALLS == ["numbers"], "the artifact itself was still there"


class _Bomb:
    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return (eval, (self.code,))


@pytest.mark.parametrize("submitted", [False, True])
def test_records_that_changed_places_are_not_believed(
    store: ArtifactStore, submitted: bool
) -> None:
    """Each of them is ours and intact: it is an answer to another question."""

    @flow
    def both() -> list[ArtifactRef]:
        if submitted:
            started = [numbers.submit(store, count=count) for count in (3, 4)]
            return [one.result() for one in started]
        return [numbers(store, count=count) for count in (3, 4)]

    right = both()
    storage = get_current_settings().results.local_storage_path
    files = [path for path in storage.rglob("*") if path.is_file()]
    places = [
        next(path for path in files if one.uri in path.read_text(errors="replace")) for one in right
    ]
    texts = [path.read_text() for path in places]
    for path, text in zip(places, texts[::-1], strict=True):
        path.write_text(text)
    assert [one.uri for one in both()] == [one.uri for one in right]
    assert [one.rows for one in both()] == [3, 4]
