"""Training from start to end, each in a process of its own: time, and the peak of its memory.

`best` on MovieLens 100K at most 90 s, on 1M at most 12 minutes and 4 GiB, on a synthetic graph of
the shape of ml-latest-small (610 users, 9,742 items) at most 90 s and 2 GiB; both presets on a
graph of 10 million edges, one epoch, at most 8 GiB, and a tenth of the edges a tenth of the memory.
`make bench ARGS=training` takes some ten minutes.
"""

import json
import subprocess
import sys
from typing import Any

from tests.benchmarks.bars import Bars

SMALL_S, LARGE_S, LARGE_GIB, HUGE_GIB = 90, 720, 4, 8
WIDE_S, WIDE_GIB = 90, 2
"""The bars."""
HUGE = 10_000_000
BASE_GIB = 0.45
"""What Python, torch and the libraries take before there is any data."""


def main() -> int:
    bars = Bars()
    small = run("ml-100k", "best")
    bars.at_most("best on MovieLens 100K, both phases", small["seconds"], SMALL_S, " s")
    large = run("ml-1m", "best")
    bars.at_most("best on MovieLens 1M, both phases", large["seconds"], LARGE_S, " s")
    bars.at_most("  its peak memory", large["peak_gib"], LARGE_GIB, " GiB")
    wide = run("ml-latest-small", "best")
    bars.at_most("best on 610 users x 9,742 items, both phases", wide["seconds"], WIDE_S, " s")
    bars.at_most("  its peak memory", wide["peak_gib"], WIDE_GIB, " GiB")
    for preset in ("paper", "best"):
        tenth, huge = run(str(HUGE // 10), preset), run(str(HUGE), preset)
        bars.at_most(f"{preset}, {HUGE:,} edges, peak", huge["peak_gib"], HUGE_GIB, " GiB")
        growth = (huge["peak_gib"] - BASE_GIB) / (tenth["peak_gib"] - BASE_GIB)
        bars.at_most("  relative to a tenth of the edges", growth, 11, "x")
    return bars.missed


def run(world: str, preset: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.train_once", world, preset]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    shown = ", ".join(f"{name} {_short(value)}" for name, value in facts.items())
    print(f"{preset} on {world}: {shown}", flush=True)
    return facts


def _short(value: object) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else f"{value:,}"
