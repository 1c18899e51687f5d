"""The folder of a served model: read by the library alone, refused where it does not fit."""

import subprocess
import sys
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from recsys_core.artifacts import open_artifact
from recsys_core.errors import ConfigError, DamagedArtifact
from recsys_core.serving import open_model
from recsys_core.serving.person import People
from recsys_core.serving.product import contract
from recsys_core.serving.product.pointer import POINTER, product_of, promote, promotions, roll_back
from tests.served_world import model, run, world

ALONE = """
import sys
from recsys_core.serving import open_model, recommend, visitors_of
from recsys_core.serving.person import People
import polars as pl
model = open_model(sys.argv[1])
ratings = pl.DataFrame({"user_id": ["new"], "item_id": ["film-00"], "rating": [9.0],
                        "timestamp": [1]})
lists = recommend(model, visitors_of(model, ratings=ratings), k=3).recommendations
assert lists.height == 3 and People(model).of_user("u01", 3).entries
print(sorted({"torch", "prefect", "sklearn", "fastapi"} & set(sys.modules)))
"""


def test_it_serves_without_torch_or_prefect():
    uri = world()[1]
    command = [sys.executable, "-c", ALONE, uri]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_it_is_read_from_a_uri_too():
    found = open_model(f"file://{world()[1]}")
    assert found.content_hash == model().content_hash


def test_it_is_served_from_s3(bucket, tmp_path):
    """By its URI, and by the name of a run that left it there."""
    source = Path(world()[1])
    remote, _ = pafs.FileSystem.from_uri(f"{bucket}/")
    for path in source.iterdir():
        place = f"recsys/artifacts/{contract.STEP}/{source.name}/{path.name}"
        with remote.open_output_stream(place) as stream:
            stream.write(path.read_bytes())
    uri = f"{bucket}/artifacts/{contract.STEP}/{source.name}"
    run(tmp_path, "one", uri)
    promote(str(tmp_path), "one", "by hand")
    for place in (uri, "one", "served"):
        found = open_model(place, str(tmp_path))
        assert (found.uri, found.content_hash) == (uri, model().content_hash)
    expected = People(model()).of_user("u01", 3)
    assert People(found).of_user("u01", 3) == expected


def test_no_file_of_it_is_a_pickle():
    manifest = open_artifact(world()[1]).manifest
    assert {Path(name).suffix for name in manifest.files} == {".parquet", ".safetensors"}
    assert manifest.facts[contract.CONTRACT] == contract.VERSION


def test_another_artifact_or_version_is_refused(tmp_path, monkeypatch):
    made, uri = world()
    with pytest.raises(ConfigError, match="and no served model"):
        open_model(made.trained.uri)
    monkeypatch.setattr(contract, "VERSION", 2)
    with pytest.raises(ConfigError, match="is of version 1 of its contract"):
        open_model(uri)


def test_a_damaged_file_is_refused(tmp_path):
    source = Path(world()[1])
    copy = tmp_path / "model"
    copy.mkdir()
    for path in source.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert open_model(str(copy)).content_hash == model().content_hash
    (copy / "histories.parquet").write_bytes(b"x")
    with pytest.raises(DamagedArtifact):
        open_model(str(copy))


def test_a_run_is_named_promoted_and_rolled_back(tmp_path):
    uri, root = world()[1], str(tmp_path)
    run(tmp_path, "one", "/gone", uri)
    run(tmp_path, "two", uri)
    (tmp_path / "latest").symlink_to("two")
    for place in ("one", "latest", "served", str(tmp_path / "one"), uri):
        assert product_of(place, root) == uri
    with pytest.raises(ConfigError, match="No run serves yet"):
        roll_back(root)
    assert [promote(root, name, "by hand").run for name in ("one", "latest")] == ["one", "two"]
    assert [one.run for one in promotions(root)] == ["one", "two"]
    assert roll_back(root).run == "one"
    with pytest.raises(ConfigError, match="No other run served before one"):
        roll_back(root)
    assert open_model("served", root).uri == uri


def test_what_serves_no_run_is_refused(tmp_path):
    root = str(tmp_path)
    run(tmp_path, "old")
    run(tmp_path, "gone", str(tmp_path / "nowhere"))
    for name, why in (
        ("old", "trained no model that can be served"), ("gone", "is gone"),
        ("none", "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=why):
            product_of(name, root)
    with pytest.raises(ConfigError, match="name one of gone, old"):
        promote(root, "none", "by hand")
    with pytest.raises(ConfigError):
        promote(root, "../outside", "by hand")
    (tmp_path / POINTER).write_text("{")
    with pytest.raises(ConfigError, match="promote a run"):
        promotions(root)
