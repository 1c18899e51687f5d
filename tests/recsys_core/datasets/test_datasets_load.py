import gzip
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys_core.datasets import published
from recsys_core.datasets.config import DataConfig, SplitConfig
from recsys_core.datasets.load import load_dataset, source_fingerprint
from recsys_core.datasets.sources import bounds
from recsys_core.datasets.sources import movielens_wheel as wheel
from recsys_core.datasets.sources.bounds import MUCH
from recsys_core.datasets.sources.download import Checksum, Patience
from recsys_core.datasets.sources.files import folder_files, zip_files
from recsys_core.datasets.splits import split_interactions
from recsys_core.errors import DataError, SourceUnavailable

Zipped = Callable[[dict[str, bytes]], bytes]

OFFLINE = "http://127.0.0.1:9"
QUICK = Patience(attempts=1, connects=1, sleep=lambda seconds: None)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = {"user_id": ["u1", "u1", "u2"], "item_id": ["a", "b", "a"], "rating": [10, 0, 7]}
    pl.DataFrame(rows).write_parquet(folder / "interactions.parquet")
    titles = {"item_id": ["a", "b"], "title": ["Lamp, The", "Chair"]}
    pl.DataFrame(titles).write_parquet(folder / "items.parquet")
    return folder


def ten_points(**fields: Any) -> DataConfig:
    return DataConfig(rating_min=0, rating_max=10, **fields)


def test_any_folder_that_keeps_the_contract_is_read(mine: Path, tmp_path: Path) -> None:
    configs = [
        ten_points(source=str(mine)),
        ten_points(source=f"file://{mine}"),
        ten_points(folder=str(mine)),
        ten_points(source="mine", folder=str(mine)),
    ]
    for config in configs:
        data = load_dataset(config, tmp_path / "cache")
        assert data.name == "mine"
        assert str(mine) in data.source
        assert data.interactions["user_id"].to_list() == ["u1", "u1", "u2"]
        assert data.items["title"].to_list() == ["Lamp, The", "Chair"]
        assert data.users is None
    assert not (tmp_path / "cache").exists()


def test_a_users_file_is_read_where_it_is(mine: Path, tmp_path: Path) -> None:
    pl.DataFrame({"user_id": ["u1"], "age": [3]}).write_parquet(mine / "users.parquet")
    data = load_dataset(ten_points(source=str(mine)), tmp_path)
    assert data.users is not None
    assert data.users.rows() == [("u1", 3)]


def test_the_fingerprint_follows_the_files(mine: Path) -> None:
    config = ten_points(source=str(mine))
    before = source_fingerprint(config)
    (mine / "notes.txt").write_text("not data")
    assert source_fingerprint(config) == before
    pl.DataFrame({"user_id": ["u1"]}).write_parquet(mine / "users.parquet")
    assert source_fingerprint(config) != before
    assert source_fingerprint(DataConfig()) != source_fingerprint(DataConfig(source="ml-1m"))


def test_bad_folders_are_named(mine: Path, tmp_path: Path) -> None:
    bad = {
        str(tmp_path / "nowhere"): "does not exist",
        "nosuch://bucket/x": "cannot be opened",
        str(tmp_path): "has no interactions",
        str(mine / "no.zip"): "does not exist",
        str(mine / "part*.csv"): "Nothing in",
    }
    for place, message in bad.items():
        for config in (DataConfig(source=place), DataConfig(folder=place)):
            with pytest.raises(DataError, match=message):
                load_dataset(config, tmp_path / "cache")


def test_bad_files_are_named(mine: Path, tmp_path: Path) -> None:
    config = ten_points(source=str(mine))
    whole = (mine / "items.parquet").read_bytes()
    for damaged in (b"", b"not parquet", whole[: len(whole) // 2], whole[:-9] + b"x" * 9):
        (mine / "items.parquet").write_bytes(damaged)
        with pytest.raises(DataError, match=r"items\.parquet is damaged"):
            load_dataset(config, tmp_path)
    (mine / "items.parquet").unlink()
    assert load_dataset(config, tmp_path).items["title"].to_list() == ["a", "b"]
    (mine / "interactions.parquet").rename(mine / "data.parquet")
    assert load_dataset(config, tmp_path).interactions.height, "told by its columns"
    pl.read_parquet(mine / "data.parquet").drop("user_id").write_parquet(mine / "data.parquet")
    with pytest.raises(DataError, match=r"has no interactions .it has data\.parquet"):
        load_dataset(config, tmp_path)


@pytest.mark.parametrize("form", ["zip", "folder of the zip", "files", "folder of the files"])
def test_a_local_movielens_needs_no_network(
    zipped: Zipped, small_100k: dict[str, bytes], tmp_path: Path, form: str
) -> None:
    place = tmp_path
    if "zip" in form:
        (tmp_path / "ml-100k.zip").write_bytes(zipped(small_100k))
        place = tmp_path / "ml-100k.zip" if form == "zip" else tmp_path
    else:
        (tmp_path / "ml-100k").mkdir()
        for name, data in small_100k.items():
            (tmp_path / name).write_bytes(data)
        place = tmp_path / "ml-100k" if form == "files" else tmp_path
    data = load_dataset(DataConfig(folder=str(place)), tmp_path / "cache", base_url=OFFLINE)
    assert data.name == "ml-100k"
    assert data.source.startswith("local folder ")
    assert data.items["title"].to_list() == ["Toy Story", "Il Postino", "Les Misérables"]
    assert data.items["overview"].null_count() == 3


def test_the_official_archive_is_downloaded_once(
    zipped: Zipped,
    server: Any,
    small_100k: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.body, server.faults = zipped(small_100k), ["reset", 503]
    digest = hashlib.md5(server.body).hexdigest()
    checksum = Checksum(algorithm="md5", digest=digest)
    monkeypatch.setitem(published.ARCHIVES, "ml-100k", checksum)  # type: ignore[arg-type]
    for _ in range(2):
        patience = Patience(sleep=lambda seconds: None)
        data = load_dataset(DataConfig(), tmp_path, base_url=server.url, patience=patience)
        assert data.source == f"GroupLens archive ml-100k.zip (md5 {digest})"
        assert data.interactions.height == 5
    assert len(server.seen) == 3


def test_a_wrong_archive_is_an_error_and_no_reason_to_look_elsewhere(
    zipped: Zipped, server: Any, small_100k: dict[str, bytes], tmp_path: Path
) -> None:
    server.body = zipped(small_100k)
    with pytest.raises(DataError, match="what was downloaded is removed"):
        load_dataset(DataConfig(), tmp_path, base_url=server.url, patience=QUICK)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """pip as it would be with a package index that serves `wheel`, or nothing."""
    state: dict[str, Any] = {"wheel": None, "calls": []}

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        state["calls"].append(command)
        if state["wheel"] is None:
            error = "ERROR: No matching distribution found"
            return subprocess.CompletedProcess(command, 1, "", f"noise\n{error}\n")
        folder = Path(command[command.index("--dest") + 1])
        (folder / wheel.FILENAME).write_bytes(state["wheel"])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return state


def test_where_grouplens_cannot_be_reached_the_wheel_serves(
    zipped: Zipped, index: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = "recbole/dataset_example/ml-100k/ml-100k"
    index["wheel"] = zipped(
        {
            f"{folder}.inter": b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
            b"196\t242\t4\t881250949\n",
            f"{folder}.item": b"item_id:token\tmovie_title:token_seq\trelease_year:token\t"
            b"class:token_seq\n242\tKolya\t1996\tComedy\n",
        }
    )
    digest = hashlib.sha256(index["wheel"]).hexdigest()
    monkeypatch.setattr(wheel, "CHECKSUM", Checksum(algorithm="sha256", digest=digest))
    for _ in range(2):
        data = load_dataset(DataConfig(), tmp_path, base_url=OFFLINE, patience=QUICK)
        assert data.source.startswith("recbole==1.2.1 wheel from the package index (sha256 ")
        (command,) = index["calls"]
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert [path.name for path in tmp_path.iterdir()] == [wheel.FILENAME]


def test_another_wheel_is_refused(zipped: Zipped, index: dict[str, Any], tmp_path: Path) -> None:
    index["wheel"] = zipped({"evil.py": b""})
    with pytest.raises(DataError, match="it is removed"):
        load_dataset(DataConfig(), tmp_path, base_url=OFFLINE, patience=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_answers_both_causes_are_named(index: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        load_dataset(DataConfig(), tmp_path, base_url=OFFLINE, patience=QUICK)
    assert f"{OFFLINE}/ml-100k.zip" in caught.value.seen
    assert "No matching distribution" in caught.value.seen
    assert "--data.folder" in caught.value.fix
    with pytest.raises(SourceUnavailable, match=r"ml-1m\.zip"):
        load_dataset(DataConfig(source="ml-1m"), tmp_path, base_url=OFFLINE, patience=QUICK)
    assert len(index["calls"]) == 1


def test_corrupt_archives_are_named(
    zipped: Zipped, small_100k: dict[str, bytes], tmp_path: Path
) -> None:
    whole = zipped(small_100k)
    flipped = bytearray(whole)
    start = whole.index(b"u.data") + 10
    flipped[start : start + 20] = b"\x00" * 20
    for data in (b"", b"<html>", whole[:-40], bytes(flipped)):
        (tmp_path / "ml-100k.zip").write_bytes(data)
        with pytest.raises(
            DataError, match=r"damaged|cannot be read as published|has no interactions"
        ):
            load_dataset(DataConfig(folder=str(tmp_path)), tmp_path / "cache")


def test_what_unpacks_to_gigabytes_of_nothing_is_one_message(mine: Path, tmp_path: Path) -> None:
    nothing = b"\0" * (MUCH + 1)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED, True, 1) as archive:
        archive.writestr("interactions.csv", nothing)
    (mine / "interactions.parquet").unlink()
    (mine / "interactions.csv.gz").write_bytes(gzip.compress(nothing, 1))
    for source in (tmp_path / "bomb.zip", mine):
        with pytest.raises(DataError, match="bytes unpack to"):
            load_dataset(DataConfig(source=str(source)), tmp_path / "cache")


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
@pytest.mark.parametrize("name", ["interactions.csv", "interactions.jsonl"])
def test_packed_bytes_under_the_name_of_a_text_are_never_unpacked(
    mine: Path, tmp_path: Path, codec: str, name: str
) -> None:
    """The reader of text would unpack them by itself, however many they are."""
    (mine / "interactions.parquet").unlink()
    packed = pa.Codec(codec).compress(b"\0" * 1000, asbytes=True)
    (mine / name).write_bytes(packed)
    with pytest.raises(DataError, match=f"{name} is packed by {codec}"):
        load_dataset(DataConfig(source=str(mine)), tmp_path / "cache")


def test_rows_that_no_memory_holds_are_refused_by_the_footer(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "memory_limit", lambda: 20)
    with pytest.raises(DataError, match=r"stands for \d+ rows of [\d,]+ values: at least"):
        load_dataset(DataConfig(source=str(mine)), tmp_path / "cache")


def test_a_list_that_no_memory_holds_is_refused_by_the_footer(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row of ten million genres takes 400 bytes of file."""
    monkeypatch.setattr(bounds, "memory_limit", lambda: 20 << 20)
    items, count = pq.read_table(mine / "items.parquet"), 10_000_000
    ends = pa.array([0, count, count], pa.int32())
    zeros = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), ["Drama"])
    genres = pa.ListArray.from_arrays(ends, zeros)
    pq.write_table(items.append_column("genres", genres), mine / "items.parquet")
    assert (mine / "items.parquet").stat().st_size < 1 << 20
    with pytest.raises(DataError, match=r"items.parquet stands for .* values: at least"):
        load_dataset(DataConfig(source=str(mine)), tmp_path / "cache")


def test_a_text_that_stands_in_every_row_is_counted_in_every_row(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "memory_limit", lambda: 20 << 20)
    items = pq.read_table(mine / "items.parquet")
    wide = pa.DictionaryArray.from_arrays(np.zeros(items.num_rows, np.int32), ["x" * (15 << 20)])
    at = items.column_names.index("title")
    pq.write_table(items.set_column(at, "title", wide), mine / "items.parquet", store_schema=False)
    assert (mine / "items.parquet").stat().st_size < 1 << 20
    with pytest.raises(DataError, match="rows of long texts: at least"):
        load_dataset(DataConfig(source=str(mine)), tmp_path / "cache")


def test_links_in_a_circle_are_one_message(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(DataError, match="loop"):
        load_dataset(DataConfig(source=str(tmp_path / "a")), tmp_path / "cache")


def test_a_member_that_climbs_out_of_the_archive_is_only_a_name(
    zipped: Zipped, tmp_path: Path
) -> None:
    files = zip_files(zipped({"../../evil": b"x", "ml-100k/u.data": b"y"}), place="x.zip")
    assert files.names == {"evil", "u.data"}
    assert files.read("evil") == b"x"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_lists_its_own_files_only(mine: Path) -> None:
    (mine / "below").mkdir()
    assert folder_files(str(mine)).names == {"interactions.parquet", "items.parquet"}


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "parts", "titled"),
    [
        ("amazon-book", (120_464, 40_290, 40_106), False),
        ("amazon-beauty", (153_776, 22_363, 22_363), True),
    ],
)
def test_published_splits_of_amazon_go_through_the_door(
    shared_data: Path, tmp_path: Path, name: str, parts: tuple[int, ...], titled: bool
) -> None:
    data = load_dataset(DataConfig(source=str(shared_data / name)), tmp_path)
    assert data.scale.is_implicit
    split = split_interactions(data.interactions, SplitConfig(kind="given"), 0)
    assert (split.train.height, split.valid.height, split.test.height) == parts
    ids = data.items["item_id"].cast(pl.String)
    assert (data.items["title"] != ids).any() == titled


@pytest.mark.data
def test_the_shared_movielens_goes_through_the_door(shared_data: Path, tmp_path: Path) -> None:
    for place in (shared_data, shared_data / "ml-100k"):
        data = load_dataset(DataConfig(folder=str(place)), tmp_path)
        assert (data.name, data.interactions.height, data.items.height) == (
            "ml-100k",
            100_000,
            1682,
        )
        titles = data.items.filter(pl.col("item_id").is_in([12, 14]))["title"].to_list()
        assert titles == ["The Usual Suspects", "Il Postino"]
        assert data.items["overview"].null_count() == 93
    assert split_interactions(data.interactions, SplitConfig(), 0).kind == "blocks"
