"""The main job, as a user runs it: a first and a second run, time and peak memory per step.

A first run at most 180 s and 3 GiB, a second at most 15 s, on two idle cores.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for run in ("first", "second"):
            seconds, peak = _run(Path(folder), run)
            print(f"{run} run: {seconds:.1f} s wall, largest process {peak:.0f} MiB")
            summary = json.loads((Path(folder) / "runs" / run / "summary.json").read_text())
            for step in summary["steps"]:
                print(
                    f"  {step['step']:<18} {step['seconds']:7.2f} s {step['peak_memory_mib']:7.0f}"
                    f" MiB {step['rows']:>9,} rows {'cached' if step['cached'] else ''}"
                )


def _run(folder: Path, name: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "flows.personalize", f"--artifact_root={folder}/artifacts"]
    command += [f"--runs_root={folder}/runs", f"--run_name={name}"]
    started = time.perf_counter()
    subprocess.run(
        command, check=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return time.perf_counter() - started, peak
