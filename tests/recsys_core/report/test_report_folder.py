"""The run's folder appears whole or not at all, and `latest` always leads to a whole one."""

from pathlib import Path

import pytest

from recsys_core.errors import StorageError
from recsys_core.report.folder import publish

FILES = {"a.txt": b"1", "b.txt": b"2"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_is_published_and_latest_leads_to_it(tmp_path: Path) -> None:
    folder = publish(str(tmp_path / "runs"), "one", FILES)
    assert names(folder) == set(FILES)
    assert (tmp_path / "runs" / "latest").resolve() == folder
    second = publish(str(tmp_path / "runs"), "two", FILES)
    assert (tmp_path / "runs" / "latest").resolve() == second
    assert names(tmp_path / "runs") == {"one", "two", "latest"}


def test_a_run_of_the_same_name_replaces_the_earlier_one(tmp_path: Path) -> None:
    publish(str(tmp_path), "one", FILES)
    folder = publish(str(tmp_path), "one", {"c.txt": b"3"})
    assert names(folder) == {"c.txt"}
    assert (tmp_path / "latest" / "c.txt").read_bytes() == b"3"


def test_a_file_may_lie_in_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = publish(str(tmp_path), "one", {"lists/0.js": b"1"})
    assert (folder / "lists" / "0.js").read_bytes() == b"1"


def test_a_failure_keeps_the_earlier_run(tmp_path: Path) -> None:
    publish(str(tmp_path), "one", FILES)
    with pytest.raises(StorageError, match="Cannot write"):
        publish(str(tmp_path), "one", {"below/too/deep.txt": b"x"})
    assert names(tmp_path / "one") == set(FILES)
    assert names(tmp_path) == {"one", "latest"}


def test_a_root_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="Cannot write"):
        publish(str(tmp_path / "file"), "one", FILES)
