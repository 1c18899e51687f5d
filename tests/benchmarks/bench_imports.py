"""Importing the library: under 0.3 s."""

import statistics
import subprocess
import sys
import time

RUNS = 7
MODULES = ("recsys_core", "recsys_core.config", "recsys_core.artifacts", "tasks.runtime.step")


def main() -> None:
    bare = _median("pass")
    for module in MODULES:
        seconds = _median(f"import {module}") - bare
        print(f"import {module:<24} {seconds:6.2f} s beyond an empty interpreter ({bare:.2f} s)")


def _median(code: str) -> float:
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)
