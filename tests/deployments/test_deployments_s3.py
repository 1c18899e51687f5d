"""The small pipeline with artifacts on S3: the same lists as on a disk, nothing done twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow.fs as pafs
import pytest
import yaml

from tests.deployments.conftest import config_of
from tests.local_server import ROOT

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_pipeline_on_s3(small: Path, tmp_path: Path) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        endpoint = f"http://{host}:{port}"
        remote = {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
        s3 = pafs.S3FileSystem(
            endpoint_override=endpoint, allow_bucket_creation=True, region="us-east-1",
            access_key="test", secret_key="test",
        )  # fmt: skip
        s3.create_dir("recsys")
        there = run(small, tmp_path / "there", "s3://recsys/artifacts", remote)
        again = run(small, tmp_path / "there", "s3://recsys/artifacts", remote)
    finally:
        server.stop()
    here = run(small, tmp_path / "here", str(tmp_path / "artifacts"), {})
    for name in ("recommendations.parquet", "metrics.parquet"):
        assert pl.read_parquet(there / name).equals(pl.read_parquet(here / name)), name
    summary = json.loads((again / "summary.json").read_text())
    assert [step["step"] for step in summary["steps"] if not step["cached"]] == []


def run(data: Path, folder: Path, root: str, environment: dict[str, str]) -> Path:
    """Run the pipeline from the command line; the folder of its outputs."""
    folder.mkdir(exist_ok=True)
    config = config_of(data, artifact_root=root, runs_root=str(folder / "runs"))
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [sys.executable, "-m", "flows.personalize", "--config", str(folder / "config.yaml")],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | environment | {"PREFECT_HOME": str(folder), "NO_PROXY": "127.0.0.1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "runs" / "latest"
