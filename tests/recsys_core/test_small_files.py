"""Files that a user names are read within a bound, and nothing is waited for."""

import os
import threading
from pathlib import Path

import pytest

from deployments.site import read_site
from recsys_core import small_files
from recsys_core.config.loading import read_parameters
from recsys_core.datasets.read import read_ids
from recsys_core.errors import ConfigError, DataError
from recsys_core.serving.request import wanted_users
from recsys_core.small_files import read_small_text

READERS = {
    "configuration": read_parameters,
    "configuration by URI": lambda path: read_parameters(path.as_uri()),
    "site": read_site,
    "users": lambda path: wanted_users(f"@{path}"),
    "ids": lambda path: read_ids(str(path)),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", [name for name in READERS if "URI" not in name])
@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "device", "folder"])
def test_what_is_no_plain_file_is_refused_and_not_waited_for(
    tmp_path: Path, name: str, kind: str
) -> None:
    path = tmp_path / "given"
    if kind == "device":
        path = Path("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(tmp_path / "pipe")
        path = tmp_path / "pipe"
        if "link" in kind:
            path = tmp_path / "given"
            path.symlink_to("pipe")
    before = threading.active_count()
    with pytest.raises((ConfigError, DataError)) as told:
        READERS[name](path)
    assert str(path) in str(told.value)
    assert threading.active_count() <= before


@pytest.mark.parametrize("name", [name for name in READERS if name != "ids"])
def test_what_is_too_long_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in (small_files, __import__("recsys_core.config.loading", fromlist=["loading"])):
        monkeypatch.setattr(module, "MOST_BYTES", 2**20)
    path = tmp_path / "given"
    path.write_text("# a comment of many characters\n" * 2**16)
    with pytest.raises((ConfigError, DataError), match="more than 1 MiB"):
        READERS[name](path)


def test_a_plain_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "given").write_text("seed: 3 # \u2713\n", "utf-8")
    assert read_small_text("~/given") == "seed: 3 # \u2713\n"
    assert read_parameters("~/given") == {"seed": 3}
    (tmp_path / "given").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_parameters("~/given")
