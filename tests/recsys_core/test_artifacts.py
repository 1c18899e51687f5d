"""An artifact is complete or absent: every way to break one is met here."""

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pyarrow.fs as pafs
import pytest
from pydantic import ValidationError

from recsys_core.artifacts import (
    MANIFEST,
    ArtifactRef,
    ArtifactStore,
    ArtifactWriter,
    content_hash,
    read_manifest,
    storage_error,
    verify,
)
from recsys_core.columns import ITEM, RANK, RANKING, USER
from recsys_core.datasets.config import DataConfig
from recsys_core.errors import DamagedArtifact, DataError, StorageError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.report.folder import check_run_folder

KEY = content_hash("a step")
FRAME = pl.DataFrame(
    {USER: [1, 1, 2], ITEM: [3, 4, 3], RANK: [1, 2, 1]},
    schema={USER: pl.Int64, ITEM: pl.Int64, RANK: pl.Int32},
)


def fill(out: ArtifactWriter, frame: pl.DataFrame = FRAME) -> ArtifactRef:
    out.table("lists", frame, RANKING)
    out.data("notes.txt", b"one\ntwo\n")
    out.fact("source", "made here")
    return out.commit(
        version="1", parameters={"seed": 1}, inputs={"data": "abc"}, built_by="run",
        seconds=0.1, peak_memory_mib=10.0,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(root=str(tmp_path / "artifacts"))


@pytest.fixture
def ref(store: ArtifactStore) -> ArtifactRef:
    with store.writer("lists", KEY) as out:
        return fill(out)


def test_what_was_written_is_read_back(store: ArtifactStore, ref: ArtifactRef) -> None:
    assert ref.table("lists").equals(FRAME)
    assert ref.data("notes.txt") == b"one\ntwo\n"
    assert ref.rows == ref.manifest.rows == 3
    assert ref.manifest.facts == {"source": "made here"}
    assert ref.manifest.inputs == {"data": "abc"}
    assert store.find("lists", KEY) == ref


def test_a_reference_survives_json(ref: ArtifactRef) -> None:
    assert ArtifactRef.model_validate_json(ref.model_dump_json()) == ref


def test_equal_files_have_equal_content_hashes(store: ArtifactStore, ref: ArtifactRef) -> None:
    with store.writer("lists", content_hash("another key")) as out:
        assert fill(out).content_hash == ref.content_hash


def test_a_uri_and_a_path_name_the_same_place(tmp_path: Path, ref: ArtifactRef) -> None:
    by_uri = ArtifactStore(root=(tmp_path / "artifacts").as_uri())
    assert by_uri.find("lists", KEY).content_hash == ref.content_hash


def delete(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "more").write_text("here")


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def make_circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def link_elsewhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


HARMS = [
    delete, truncate, alter, make_folder, make_pipe, make_link_to_nothing, make_circle,
    link_elsewhere,
]  # fmt: skip


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["lists.parquet", "notes.txt", MANIFEST])
def test_a_damaged_artifact_is_never_trusted(store, ref, harm, name) -> None:
    cached = ref.model_dump_json()
    harm(Path(ref.uri) / name)
    assert store.find("lists", KEY) is None
    with pytest.raises(ValidationError):
        ArtifactRef.model_validate_json(cached)
    with store.writer("lists", KEY) as out:
        assert fill(out) == ref
    assert ArtifactRef.model_validate_json(cached) == ref


@pytest.mark.parametrize("name", ["lists.parquet", MANIFEST, ""])
def test_artifacts_that_changed_places_are_not_trusted(store, ref, name: str) -> None:
    other_key = content_hash("another key")
    with store.writer("lists", other_key) as out:
        other = fill(out, FRAME.reverse())
    places = [Path(one.uri, name) for one in (ref, other)]
    aside = places[0].with_name("aside")
    for source, target in ((places[0], aside), places[::-1], (aside, places[1])):
        source.rename(target)
    for one, key in ((ref, KEY), (other, other_key)):
        assert store.find("lists", key) is None
        with pytest.raises(ValidationError):
            ArtifactRef.model_validate_json(one.model_dump_json())


def test_a_manifest_that_names_other_content_is_refused(ref: ArtifactRef) -> None:
    path = Path(ref.uri) / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["content_hash"] = "0" * 64
    path.write_text(json.dumps(manifest))
    with pytest.raises(DamagedArtifact, match="manifest was altered"):
        verify(ref.uri)


@pytest.mark.parametrize(
    "change",
    [{"facts": {"source": "forged"}}, {"facts": {}}, {"parameters": {"seed": 2}}, {"checksum": ""},
     {"built_by": "another"}, {"inputs": {}}, {"files": {}}],
)  # fmt: skip
def test_a_manifest_that_was_altered_anywhere_is_refused(store, ref, change) -> None:
    path = Path(ref.uri) / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DamagedArtifact, match="manifest was altered"):
        verify(ref.uri)
    assert store.find("lists", KEY) is None


def test_facts_that_json_cannot_hold_are_no_damage(store: ArtifactStore) -> None:
    with store.writer("lists", KEY) as out:
        out.fact("odd", {"nan": float("nan"), "tiny": 5e-324, "tuple": (1, 2), "text": "\u2028ü"})
        fill(out)
    assert store.find("lists", KEY) is not None


def test_a_manifest_of_another_schema_is_refused(ref: ArtifactRef) -> None:
    path = Path(ref.uri) / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    with pytest.raises(DamagedArtifact, match="schema version 99"):
        read_manifest(ref.uri)


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt()])
def test_a_failed_step_leaves_nothing(store: ArtifactStore, error: BaseException) -> None:
    with pytest.raises(type(error)), store.writer("lists", KEY) as out:
        out.table("lists", FRAME, RANKING)
        raise error
    assert store.find("lists", KEY) is None
    assert [path for path in Path(store.root).rglob("*") if path.is_file()] == []


def test_a_failed_rebuild_leaves_the_earlier_artifact_whole(store, ref) -> None:
    with pytest.raises(RuntimeError), store.writer("lists", KEY) as out:
        out.table("lists", FRAME.head(1), RANKING)
        raise RuntimeError
    assert store.find("lists", KEY) == ref


def test_a_full_disk_is_one_clear_error(store, monkeypatch) -> None:
    class Full(pafs.LocalFileSystem):
        def open_output_stream(self, *_: object, **__: object) -> object:
            raise OSError(errno.ENOSPC, "No space left on device")

    out = store.writer("lists", KEY)
    out._filesystem = Full()
    with pytest.raises(StorageError, match="free some disk space"), out:
        fill(out)
    assert store.find("lists", KEY) is None


@pytest.mark.parametrize(
    ("code", "advice"),
    [(errno.ENOSPC, "free some disk"), (errno.EACCES, "write permission"), (errno.EIO, "check")],
)
def test_storage_errors_say_what_to_do(code: int, advice: str) -> None:
    message = str(storage_error("here", OSError(code, "no")))
    assert advice in message
    assert "Finished steps are kept" in message


def test_a_root_below_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = ArtifactStore(root=str(tmp_path / "file" / "below"))
    with pytest.raises(StorageError, match="Cannot write"), store.writer("lists", KEY) as out:
        fill(out)


def test_links_in_a_circle_are_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(StorageError, match="leads nowhere"):
        ArtifactStore(root=str(tmp_path / "a" / "artifacts"))
    with pytest.raises(StorageError, match="leads nowhere"):
        check_run_folder(str(tmp_path / "a"), "mine")


def test_an_unknown_kind_of_root_is_a_clear_error() -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        ArtifactStore(root="nosuch://bucket/x").find("lists", KEY)


def test_a_table_that_breaks_its_schema_is_not_written(store: ArtifactStore) -> None:
    with pytest.raises(DataError, match="'rank' has type Int64"), store.writer("l", KEY) as out:
        fill(out, FRAME.cast({RANK: pl.Int64}))


def test_keys_depend_on_content_not_on_how_work_is_done(ref: ArtifactRef, tmp_path: Path) -> None:
    here, there = DataConfig(folder="/here"), DataConfig(folder="/there")
    assert content_hash({"config": here}) == content_hash({"config": there})
    assert content_hash({"config": here}) != content_hash({"config": RatingScale(dislike_from=1)})
    assert content_hash({"a": 1, "b": ref}) == content_hash({"b": ref, "a": 1})
    with pytest.raises(TypeError, match="content key"):
        content_hash({"path": tmp_path})


def test_a_relative_root_stays_where_it_was_opened(tmp_path: Path, monkeypatch) -> None:
    roots = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        roots.append(ArtifactStore(root="artifacts").root)
    assert roots == [str(tmp_path / name / "artifacts") for name in ("one", "two")]


RIVAL = """
    import sys, time
    import polars as pl
    import pyarrow.fs as pafs
    from recsys_core.artifacts import ArtifactStore, content_hash
    from recsys_core.columns import ITEM, RANK, RANKING, USER

    store, ledger = ArtifactStore(root=sys.argv[1]), sys.argv[2] == "ledger"
    types = {USER: pl.Int64, ITEM: pl.Int64, RANK: pl.Int32}
    frame = pl.DataFrame({USER: [1], ITEM: [3], RANK: [1]}, schema=types)

    class Slow(pafs.LocalFileSystem):
        def get_file_info(self, path):
            found = super().get_file_info(path)
            time.sleep(0.01)
            return found

    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(20):
        key = content_hash(str(number))
        with store.writer("lists", key) as out:
            out._filesystem = Slow()
            out.table("lists", frame, RANKING)
            if ledger:
                out.table("calls", frame, RANKING, in_content=False)
            made = out.commit(
                version="1", parameters={}, inputs={}, built_by=sys.argv[2], seconds=0,
                peak_memory_mib=0,
            )
        assert made.table("lists").equals(frame)
        assert store.find("lists", key) is not None, number
"""


@pytest.mark.parametrize("kinds", [("plain", "plain"), ("plain", "ledger"), ("ledger", "ledger")])
def test_two_processes_that_write_the_same_artifacts_find_them_whole(
    store: ArtifactStore, kinds: tuple[str, str]
) -> None:
    """From damaged ones, so that both delete before they write."""
    for number in range(20):
        place = Path(store.uri("lists", content_hash(str(number))))
        place.mkdir(parents=True)
        (place / MANIFEST).write_text("{}")
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(RIVAL), store.root, kind], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) for kind in kinds
    ]  # fmt: skip
    for one in rivals:
        assert one.stdout.readline() == "ready\n"
    for one in rivals:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in rivals:
        _, said = one.communicate(timeout=60)
        assert one.returncode == 0, said
    left = [path for path in Path(store.root).rglob("*") if path.name.endswith(".tmp")]
    assert left == []


def test_what_was_there_first_stays_and_a_ledger_is_never_dropped(store, ref) -> None:
    with store.writer("lists", KEY) as out:
        assert fill(out, FRAME.reverse()) == ref
    assert store.find("lists", KEY) == ref
    with store.writer("lists", KEY) as out:
        out.table("calls", FRAME.head(1), RANKING, in_content=False)
        mine = fill(out)
    assert mine.content_hash == ref.content_hash
    assert "calls" in store.find("lists", KEY).tables


WRITER = """
    import sys, time
    from recsys_core.artifacts import ArtifactStore
    with ArtifactStore(root=sys.argv[1]).writer("lists", sys.argv[2]) as out:
        out.data("notes.txt", b"half")
        print("written", flush=True)
        time.sleep(60)
"""


def test_what_a_killed_writer_left_is_swept_and_a_living_ones_is_not(store: ArtifactStore) -> None:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), store.root, KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "written\n"
            folder = Path(store.uri("lists", KEY))
            with store.writer("lists", KEY):
                assert len(list(folder.iterdir())) == 1, "its writer still runs"
        finally:
            process.kill()
    with store.writer("lists", KEY) as out:
        assert list(folder.iterdir()) == []
        fill(out)
    assert store.find("lists", KEY) is not None
