import errno
import hashlib
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from recsys_core.datasets.sources import download as module
from recsys_core.datasets.sources.download import Checksum, Patience, download
from recsys_core.errors import DataError, SourceUnavailable, StorageError

BODY = bytes(range(256)) * 1000
MD5 = Checksum(algorithm="md5", digest=hashlib.md5(BODY).hexdigest())


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def patience(waits: list[float]) -> Patience:
    return Patience(attempts=3, sleep=waits.append, timeout=5)


@pytest.mark.parametrize(
    ("faults", "ranges"),
    [
        ([], True),
        ([503], True),
        ([429, 500], True),
        (["reset"], True),
        (["reset", "short", "reset", 500, "short", "short"], True),
        (["reset"], False),
        (["reset", 502, "reset"], False),
        (["reset", "elsewhere"], True),
    ],
)
def test_a_bad_network_is_overcome(
    server: Any, patience: Patience, tmp_path: Path, faults: list[Any], ranges: bool
) -> None:
    server.body, server.faults, server.ranges = BODY, list(faults), ranges
    path = download(f"{server.url}/a.zip", tmp_path / "new" / "a.zip", MD5, patience=patience)
    assert path.read_bytes() == BODY
    assert [entry.name for entry in path.parent.iterdir()] == ["a.zip"]


def test_a_broken_download_goes_on_where_it_stopped(
    server: Any, patience: Patience, tmp_path: Path
) -> None:
    server.body, server.faults = BODY, ["reset", 404]
    with pytest.raises(SourceUnavailable, match="HTTP 404"):
        download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5, patience=patience)
    assert (tmp_path / "a.zip.part").stat().st_size == len(BODY) // 2
    assert not (tmp_path / "a.zip").exists()

    download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5, patience=patience)
    assert server.seen == [None, *[f"bytes={len(BODY) // 2}-"] * 2]


@pytest.mark.parametrize("left", [BODY, BODY + b"too much", b"another file"])
def test_a_partial_file_of_any_content_ends_well(
    server: Any, patience: Patience, tmp_path: Path, left: bytes
) -> None:
    server.body = BODY
    (tmp_path / "a.zip.part").write_bytes(left)
    path = download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5, patience=patience)
    assert path.read_bytes() == BODY


def test_a_whole_file_is_not_fetched_again_and_a_damaged_one_is(
    server: Any, patience: Patience, tmp_path: Path
) -> None:
    server.body = BODY
    target = tmp_path / "a.zip"
    target.write_bytes(BODY)
    download(f"{server.url}/a.zip", target, MD5, patience=patience)
    assert server.seen == []

    target.write_bytes(BODY[:-1])
    download(f"{server.url}/a.zip", target, MD5, patience=patience)
    assert target.read_bytes() == BODY
    assert len(server.seen) == 1


def test_wrong_bytes_are_removed_and_reported(
    server: Any, patience: Patience, tmp_path: Path
) -> None:
    server.body, server.faults = BODY, ["garbage"]
    with pytest.raises(DataError) as caught:
        download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5, patience=patience)
    assert MD5.digest in caught.value.expected
    assert "--data.folder" in caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_attempts_without_progress_are_bounded_and_wait_longer_each_time(
    server: Any, patience: Patience, waits: list[float], tmp_path: Path
) -> None:
    server.body, server.faults = BODY, [500] * 99
    with pytest.raises(SourceUnavailable, match="HTTP 500"):
        download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5, patience=patience)
    assert len(server.seen) == patience.attempts
    assert waits == [patience.backoff, 2 * patience.backoff]


def test_a_refused_connection_is_tried_twice(
    patience: Patience, waits: list[float], tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.zip"
        with pytest.raises(SourceUnavailable, match="cannot be downloaded"):
            download(url, tmp_path / "a.zip", MD5, patience=patience)
    assert len(waits) == 1


def test_an_unknown_host_is_not_waited_for(
    patience: Patience, waits: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceUnavailable, match="not known"):
        download("http://no.such.host.invalid/a.zip", tmp_path / "a", MD5, patience=patience)
    assert waits == []


def test_a_full_disk_is_said_and_leaves_nothing(
    server: Any, patience: Patience, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(response: object, stream: Any, start: int) -> None:
        stream.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_copy", full)
    server.body = BODY
    with pytest.raises(StorageError, match="No space left") as caught:
        download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5, patience=patience)
    assert "disk space" in caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_storage_error(
    patience: Patience, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="Cannot write"):
        download("http://127.0.0.1:9/a.zip", tmp_path / "file" / "a.zip", MD5, patience=patience)


def test_a_folder_without_permission_is_a_storage_error(
    server: Any, patience: Patience, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        try:
            (locked / "probe").touch()
        except PermissionError:
            pass
        else:
            pytest.skip("this user may write anywhere")
        server.body = BODY
        with pytest.raises(StorageError, match="ermission"):
            download(f"{server.url}/a.zip", locked / "a.zip", MD5, patience=patience)
    finally:
        locked.chmod(stat.S_IRWXU)


def test_ctrl_c_keeps_the_part_for_the_next_time(
    server: Any, patience: Patience, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(response: Any, stream: Any, start: int) -> None:
        stream.write(BODY[:1000])
        raise KeyboardInterrupt

    server.body = BODY
    with monkeypatch.context() as patch:
        patch.setattr(module, "_copy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5, patience=patience)
    assert not (tmp_path / "a.zip").exists()
    download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5, patience=patience)
    assert server.seen[-1] == "bytes=1000-"
