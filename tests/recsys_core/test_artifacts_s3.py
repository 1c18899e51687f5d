"""Artifacts on S3: a real server of the protocol on loopback, credentials from the environment."""

import polars as pl
import pyarrow.fs as pafs
import pytest

from recsys_core.artifacts import ArtifactRef, ArtifactStore, verify
from recsys_core.columns import USER
from recsys_core.errors import DamagedArtifact, StorageError

TABLE = pl.DataFrame({USER: [1, 2, 3]})
SCHEMA = {USER: pl.Int64}


def remote() -> pafs.FileSystem:
    """The bucket's file system, as the library opens it."""
    filesystem, _ = pafs.FileSystem.from_uri("s3://recsys/")
    return filesystem


def write(store: ArtifactStore, key: str = "a" * 64) -> ArtifactRef:
    with store.writer("split", key) as out:
        out.table("train", TABLE, SCHEMA)
        return out.commit(
            version="1", parameters={}, inputs={}, built_by="test", seconds=0, peak_memory_mib=0
        )


def test_what_was_written_is_found(bucket: str) -> None:
    store = ArtifactStore(root=f"{bucket}/artifacts")
    store.check_writable()
    ref = write(store)
    assert ref.uri.startswith("s3://recsys/artifacts/split/")
    found = store.find("split", "a" * 64)
    assert found == ref
    assert found.table("train").equals(TABLE)
    assert store.find("split", "b" * 64) is None


def test_nothing_temporary_is_left(bucket: str) -> None:
    write(ArtifactStore(root=f"{bucket}/artifacts"), "c" * 64)
    chosen = pafs.FileSelector("recsys/artifacts/split/" + "c" * 32)
    names = {one.base_name for one in remote().get_file_info(chosen)}
    assert names == {"train.parquet", "manifest.json"}


@pytest.mark.parametrize("damage", ["altered", "cut", "missing"])
def test_damage_is_seen_and_repaired(bucket: str, damage: str) -> None:
    store, key = ArtifactStore(root=f"{bucket}/artifacts"), "d" * 64
    ref = write(store, key)
    path = f"recsys/artifacts/split/{key[:32]}/train.parquet"
    data = ref.data("train.parquet")
    remote().delete_file(path)
    if damage != "missing":
        with remote().open_output_stream(path) as stream:
            stream.write(data[:-1] + b"x" if damage == "altered" else data[:-9])
    with pytest.raises(DamagedArtifact):
        verify(ref.uri)
    assert store.find("split", key) is None
    assert write(store, key).content_hash == ref.content_hash
    assert store.find("split", key) is not None


def test_a_bucket_that_does_not_exist(bucket: str) -> None:
    with pytest.raises(StorageError, match="Cannot write to s3://nowhere/artifacts"):
        ArtifactStore(root="s3://nowhere/artifacts").check_writable()


@pytest.mark.parametrize("root", ["s3://key:secret@recsys/a", "s3://recsys/a?endpoint_override=x"])
def test_keys_and_addresses_belong_in_the_environment(root: str) -> None:
    with pytest.raises(StorageError, match="AWS_ENDPOINT_URL") as stop:
        ArtifactStore(root=root).check_writable()
    assert "secret" not in str(stop.value)


def test_unfinished_work_outlives_the_writer_until_the_commit(bucket: str) -> None:
    store, key = ArtifactStore(root=f"{bucket}/artifacts"), "d" * 64
    for so_far in (b"one epoch", b"two epochs"):
        with store.writer("split", key) as out:
            out.scratch.write("search", so_far)
    with store.writer("split", key) as out:
        assert (out.scratch.read("search"), out.scratch.read("final")) == (b"two epochs", None)
        out.table("train", TABLE, SCHEMA)
        out.commit(
            version="1", parameters={}, inputs={}, built_by="test", seconds=0, peak_memory_mib=0
        )
    left = remote().get_file_info(
        pafs.FileSelector("recsys/artifacts/split/" + "d" * 32, recursive=True)
    )
    assert {one.base_name for one in left if one.is_file} == {"manifest.json", "train.parquet"}
    out.scratch.remove()
