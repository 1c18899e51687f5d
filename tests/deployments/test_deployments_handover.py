"""Two pools on one machine: what `train` leaves on one is what `personalize` finds on the other."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deployments.conftest import config_of
from tests.local_server import LocalServer

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]
TRAIN, PERSONALIZE = "train/train-cpu", "personalize/personalize"
OTHER = "other-machine"


def built_by(server: LocalServer, step: str) -> set[str]:
    """Ids of the flow runs that built the artifacts of a step."""
    found = (server.artifacts / step).glob("*/manifest.json")
    return {json.loads(one.read_bytes())["built_by"] for one in found}


def test_what_one_pool_trained_the_other_serves(deployed: LocalServer, small: Path) -> None:
    """As from a GPU to a CPU: where the model is trained is no part of its content key."""
    made = deployed.call("prefect", "work-pool", "create", OTHER, "--type", "process")
    assert made.returncode == 0, made.stderr
    place = f"{deployed.url}/deployments/{deployed.deployment(TRAIN)['id']}"
    moved = httpx.patch(place, json={"work_pool_name": OTHER}, timeout=60)
    moved.raise_for_status()
    deployed.worker(OTHER)
    before = built_by(deployed, "train")
    config: dict[str, Any] = config_of(small, seed=21)
    trained = deployed.run_id(
        TRAIN, {"config": {**config, "graph": {**config["graph"], "device": "auto"}}}
    )
    assert deployed.end_of(trained)["name"] == "Completed"
    assert deployed.get(f"/flow_runs/{trained}")["work_pool_name"] == OTHER
    assert built_by(deployed, "train") - before == {trained}

    there = {**config, "graph": {**config["graph"], "device": "cpu"}}
    served = deployed.run_id(PERSONALIZE, {"config": there})
    assert deployed.end_of(served)["name"] == "Completed"
    assert deployed.get(f"/flow_runs/{served}")["work_pool_name"] == "cpu"
    for step in ("ingest", "split", "embeddings", "graph", "train", "candidates"):
        assert served not in built_by(deployed, step), f"{step} is done twice"
    assert served in built_by(deployed, "evaluate")
