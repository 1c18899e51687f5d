"""Wall time and peak memory of a piece of work in this process."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(kw_only=True)
class Cost:
    """Seconds and MiB; filled when the measured block ends."""

    seconds: float = 0.0
    peak_memory_mib: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the block: wall seconds, and the largest resident memory while it ran."""
    _reset_peak()
    cost, started = Cost(), time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - started
        cost.peak_memory_mib = _peak_mib()


def _reset_peak() -> None:
    # Linux resets the high-water mark on this write; elsewhere the peak is that of the process
    # so far, an upper bound.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
