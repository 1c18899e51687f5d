"""How much memory this process may use: what the container or the machine allows."""

from contextlib import suppress
from pathlib import Path
from typing import Final

_GROUPS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Limit of a container, in version 2 and version 1 of control groups."""
_SHARE: Final = 0.5
"""Of the memory of the machine or container: the rest is for tables, libraries, other processes."""


def memory_limit(gib: float | None = None) -> int:
    """Bytes that a step may hold: as configured, else half of what the container or machine has.

    Args:
        gib: as configured; None asks the system.
    """
    if gib is not None:
        return int(gib * 2**30)
    return int(_SHARE * min([_machine(), *(_limit(Path(one)) for one in _GROUPS)]))


def _limit(file: Path) -> int:
    """A container's limit; without one, more than any machine has."""
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return 2**63


def _machine() -> int:
    import os

    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
