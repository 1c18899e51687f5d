"""The run's folder appears whole or not at all, and `latest` always leads to a whole one."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from recsys_core.errors import ConfigError, StorageError
from recsys_core.report import folder as folders
from recsys_core.report.folder import MARK, check_run_folder, publish

FILES = {"a.txt": b"1", "b.txt": b"2"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {MARK}


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


def planted(place: Path) -> Path:
    place.mkdir(parents=True)
    (place / "thesis.txt").write_text("ten years of work")
    return place


@pytest.mark.parametrize("summary", [None, "{}", "[1]", "{", '{"run_name": "one"}'])
def test_a_folder_that_is_not_ours_is_refused_and_kept(tmp_path: Path, summary: str | None) -> None:
    theirs = planted(tmp_path / "one")
    if summary is not None:
        (theirs / "summary.json").write_text(summary)
    for refuse in (check_run_folder, lambda *place: publish(*place, FILES)):
        with pytest.raises(ConfigError, match="no run of this project"):
            refuse(str(tmp_path), "one")
    assert (theirs / "thesis.txt").read_text() == "ten years of work"


def test_a_file_or_a_link_in_the_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(planted(tmp_path / "elsewhere"))
    for name in ("file", "link"):
        with pytest.raises(ConfigError):
            publish(str(tmp_path), name, FILES)
    assert (tmp_path / "link" / "thesis.txt").exists()


def test_a_real_folder_called_latest_is_refused_and_kept(tmp_path: Path) -> None:
    theirs = planted(tmp_path / "latest")
    with pytest.raises(ConfigError, match="is no link"):
        publish(str(tmp_path), "one", FILES)
    assert (theirs / "thesis.txt").exists()


def test_a_run_of_an_earlier_version_is_known_by_its_summary(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    summary = '{"run_name": "one", "flow_run_id": "x", "data_source": "d"}'
    (tmp_path / "one" / "summary.json").write_text(summary)
    assert names(publish(str(tmp_path), "one", FILES)) == set(FILES)


def test_without_an_atomic_exchange_a_kill_between_two_renames_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(str(tmp_path), "one", FILES)
    monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    publish(str(tmp_path), "one", {"c.txt": b"3"})
    assert names(tmp_path / "one") == {"c.txt"}
    assert names(tmp_path) == {"one", "latest"}
    (tmp_path / "one").rename(tmp_path / ".one.before")  # killed here
    check_run_folder(str(tmp_path), "one")
    assert names(tmp_path / "one") == {"c.txt"}


REPLACER = """
    import sys
    from recsys_core.report.folder import publish
    print("ready", flush=True)
    number = 0
    while True:
        number += 1
        publish(sys.argv[1], "one", {{name: str(number).encode() for name in ("a.txt", "b.txt")}})
"""


def test_while_a_run_is_replaced_it_is_always_there_and_whole(tmp_path: Path) -> None:
    publish(str(tmp_path), "one", {"a.txt": b"0", "b.txt": b"0"})
    command = [sys.executable, "-c", textwrap.dedent(REPLACER).format(), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            until = time.monotonic() + 3
            while time.monotonic() < until:
                (tmp_path / "one").stat()  # raises where the folder is missing for a moment
                (tmp_path / "latest").stat()
        finally:
            os.kill(process.pid, signal.SIGKILL)
    assert int((tmp_path / "one" / "a.txt").read_bytes()) > 5
    whole = {(tmp_path / "one" / name).read_bytes() for name in ("a.txt", "b.txt")}
    assert len(whole) == 1
    publish(str(tmp_path), "one", FILES)
    assert names(tmp_path) == {"one", "latest"}, "what the killed process left was swept"
