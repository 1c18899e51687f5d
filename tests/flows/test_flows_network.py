"""A run by rules speaks to nobody but this machine, its server and all its libraries included."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local_server import ROOT
from tests.small_data import run_arguments, write_small

LISTENER = """
import os, sys

def told(event, args):
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event == "socket.connect":
        host = args[1][0] if isinstance(args[1], tuple) else "a local socket"
    else:
        return
    handle = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, (repr(host) + chr(10)).encode())
    os.close(handle)

sys.addaudithook(told)
"""
"""Is loaded by every Python process below the run: its server, forked ones and all libraries."""

HERE = {"'127.0.0.1'", "b'127.0.0.1'", "'localhost'", "'::1'", "None", "'a local socket'"}


@pytest.mark.slow
def test_a_run_by_rules_asks_no_other_machine(tmp_path: Path) -> None:
    write_small(tmp_path / "data")
    (tmp_path / "listener").mkdir()
    log = tmp_path / "asked.txt"
    (tmp_path / "listener" / "sitecustomize.py").write_text(LISTENER.format(log=str(log)))
    environment = {
        **os.environ, "PREFECT_HOME": str(tmp_path / "prefect"), "OMP_NUM_THREADS": "1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),  # the text model is converted anew
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PYTHONPATH": f"{tmp_path / 'listener'}{os.pathsep}{ROOT}",
    }  # fmt: skip
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-m", "flows.personalize"]
    done = subprocess.run(
        [*command, *run_arguments(tmp_path, epochs=2)], cwd=ROOT, env=environment, timeout=250,
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    asked = log.read_text().split("\n")[:-1]
    assert "'127.0.0.1'" in asked, "the listener heard the run talk to its own server"
    assert not set(asked) - HERE
