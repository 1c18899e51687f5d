"""Which process wrote something, and whether it still runs: for leases and temporary files."""

import os
import re
import shutil
import socket
import time
import uuid
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

_OF_THE_MACHINE: Final = "pid:[4026531836]"
"""The namespace of process numbers that Linux starts with (PROC_PID_INIT_INO)."""
_LONGEST_S: Final = 86_400.0
"""Nobody writes for longer: a temporary file of a container that is gone has no one else to ask."""
_TEMPORARY: Final = re.compile(r"^\..+\.([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}\.tmp$")


class Process(BaseModel):
    """A process of some machine; its start time tells it from a later one of the same number."""

    model_config = ConfigDict(frozen=True)

    host: str
    pid: int
    started: int

    def is_gone(self) -> bool:
        """Whether it certainly ended; False also where it ran on another machine."""
        return self.host == _host() and self.started != _started(self.pid)

    def told(self) -> str:
        """The process in words."""
        if self.host != _host():
            return f"process {self.pid} of another machine or container"
        return f"process {self.pid}{' (stopped)' if _is_stopped(self.pid) else ''}"


def this_process() -> Process:
    """The calling process; not kept, since a forked child is another one."""
    pid = os.getpid()
    return Process(host=_host(), pid=pid, started=_started(pid) or 0)


def temporary_name(name: str) -> str:
    """A name to write under before renaming to `name`; it tells which process writes."""
    here = this_process()
    return f".{name}.{here.host}-{here.pid}-{here.started}-{uuid.uuid4().hex[:8]}.tmp"


def is_temporary(name: str) -> bool:
    """Whether it is a name of `temporary_name`."""
    return _TEMPORARY.match(name) is not None


def is_left_over(name: str, modified: float) -> bool:
    """Whether `name` is a temporary name of a process that is gone.

    Args:
        name: of a file or folder.
        modified: when it was last written to, in Unix seconds: of another machine's, or another
            container's, process nothing else is known.
    """
    found = _TEMPORARY.match(name)
    if found is None:
        return False
    host, pid, started = found.groups()
    if host != _host():
        return time.time() - modified > _LONGEST_S
    return Process(host=host, pid=int(pid), started=int(started)).is_gone()


def remove_left_over(folder: Path) -> None:
    """Remove the files and folders that dead processes were writing in `folder`.

    Raises:
        OSError: the folder is not there, or something in it cannot be removed.
    """
    for path in folder.iterdir():
        if is_left_over(path.name, _modified(path)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _modified(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:  # another start was faster
        return time.time()


@cache
def _host() -> str:
    """What tells where a process number means this process: a machine, or a container on one.

    Two containers may have one name and one volume, and each has a process 7.
    """
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{socket.gethostname()} {_numbering()}").hex[:8]


def _numbering() -> str:
    """What numbers processes: a machine, through its restarts; of a container, this very one."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
        if namespace == _OF_THE_MACHINE:
            return _read("/etc/machine-id")
        return f"{_read('/proc/sys/kernel/random/boot_id')} {namespace}"
    except OSError:
        return ""  # no Linux, or nothing that tells


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _is_stopped(pid: int) -> bool:
    """Whether a signal (SIGSTOP, Ctrl-Z) halted it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state in {"T", "t"}


def _started(pid: int) -> int | None:
    """Start time of a process in clock ticks; 0 where the system does not tell, None if none."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass  # it runs, as another user
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])
