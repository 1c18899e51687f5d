"""A fan-out that is killed (kill -9) and started again redoes the unfinished part, no more."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOCAL_STORAGE_PATH

from recsys_core.artifacts import MANIFEST
from recsys_core.columns import LLM_SCORE, USER
from tests import made_artifacts
from tests.fake_openai import FakeOpenAI
from tests.oracle import Oracle

ROOT = Path(__file__).resolve().parents[2]
CALLS = made_artifacts.USERS * 3  # looks of the default strategy


def start(root: Path, url: str) -> subprocess.Popen[bytes]:
    """The fan-out in a process of its own, on the test's Prefect server."""
    api = {
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        "PREFECT_LOCAL_STORAGE_PATH": str(PREFECT_LOCAL_STORAGE_PATH.value()),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.made_artifacts", str(root), url],
        cwd=ROOT,
        env={**os.environ, **api},
        start_new_session=True,
    )


def finished(root: Path) -> dict[Path, int]:
    """The shards whose artifacts are complete, and when they were."""
    return {path: path.stat().st_mtime_ns for path in root.glob(f"rerank/*/{MANIFEST}")}


@pytest.mark.usefixtures("prefect_server")
def test_a_killed_fan_out_redoes_what_is_unfinished(tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    with FakeOpenAI(tmp_path / "requests.jsonl", answer=Oracle({}), latency=0.05) as server:
        process = start(root, server.url)
        try:
            deadline = time.monotonic() + 120
            while len(finished(root)) < 2 or server.attempts.total() % 96 < 20:  # amid two shards
                assert process.poll() is None, "it ended before it could be killed"
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        before, asked = finished(root), server.attempts.total()
        ref = made_artifacts.fan_out(str(root), server.url)
    assert 2 <= len(before) < made_artifacts.USERS // made_artifacts.SHARD
    assert asked < CALLS
    assert {path: finished(root)[path] for path in before} == before, "finished shards stay"
    assert len(server.attempts) == CALLS, "every question was asked"
    again = server.attempts.total() - CALLS
    assert again <= 2 * made_artifacts.IN_FLIGHT, "again: only what had no answer on the disk"
    judged = ref.table("judged")
    assert judged[USER].n_unique() == made_artifacts.USERS
    assert judged[LLM_SCORE].null_count() == 0
