"""Whether a process is gone is told of one's own, and of nobody in another container."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsys_core.processes import Process, is_left_over, temporary_name, this_process

ROOT = Path(__file__).resolve().parents[2]
TOLD = """
import sys
from recsys_core.processes import temporary_name, this_process
print(this_process().model_dump_json(), temporary_name("x"), sep="\\n", flush=True)
sys.stdin.readline()
"""


def test_a_process_is_gone_when_it_has_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TOLD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        other = Process.model_validate_json(child.stdout.readline())
        name = child.stdout.readline().decode().strip()
        assert other.host == this_process().host
        assert not other.is_gone()
        assert not is_left_over(name, 0.0)
        child.communicate(b"end\n")
    assert other.is_gone()
    assert is_left_over(name, time.time())


@pytest.mark.skipif(
    shutil.which("unshare") is None or os.geteuid() != 0, reason="needs root and unshare"
)
def test_the_numbers_of_another_container_say_nothing_here() -> None:
    """A name and a volume in common: process 1 there is not process 1 here."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", TOLD]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        other = Process.model_validate_json(child.stdout.readline())
        name = child.stdout.readline().decode().strip()
        child.communicate(b"end\n")
    assert other.host != this_process().host
    assert other.pid == 1
    assert not other.is_gone(), "it is nobody whom we could know"
    assert not is_left_over(name, time.time() - 3600)
    assert is_left_over(name, time.time() - 2 * 86_400), "nobody writes a file for days"


def test_what_is_no_temporary_name_is_nobodys() -> None:
    assert not is_left_over("lists.parquet", 0.0)
    assert not is_left_over(temporary_name("x"), 0.0)
    assert json.loads(this_process().model_dump_json())["pid"] == os.getpid()
