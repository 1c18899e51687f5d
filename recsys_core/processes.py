"""Which process wrote something, and whether it still runs: for leases and temporary files."""

import os
import re
import shutil
import socket
import uuid
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

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


def this_process() -> Process:
    """The calling process; not kept, since a forked child is another one."""
    pid = os.getpid()
    return Process(host=_host(), pid=pid, started=_started(pid) or 0)


def temporary_name(name: str) -> str:
    """A name to write under before renaming to `name`; it tells which process writes."""
    here = this_process()
    return f".{name}.{here.host}-{here.pid}-{here.started}-{uuid.uuid4().hex[:8]}.tmp"


def is_left_over(name: str) -> bool:
    """Whether `name` is a temporary name of a process of this machine that is gone."""
    found = _TEMPORARY.match(name)
    if found is None:
        return False
    host, pid, started = found.groups()
    return Process(host=host, pid=int(pid), started=int(started)).is_gone()


def remove_left_over(folder: Path) -> None:
    """Remove the files and folders that dead processes were writing in `folder`.

    Raises:
        OSError: the folder is not there, or something in it cannot be removed.
    """
    for path in folder.iterdir():
        if is_left_over(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@cache
def _host() -> str:
    return f"{uuid.uuid5(uuid.NAMESPACE_DNS, socket.gethostname()).hex[:8]}"


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
