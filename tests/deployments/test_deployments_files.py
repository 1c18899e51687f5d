"""prefect.yaml, work pools and compose: what is deployed exists, explains itself, keeps its GPU."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.utilities.callables import parameter_schema

from deployments.pools import pools
from flows.train import train

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]


def load(entrypoint: str) -> Any:
    module, _, name = entrypoint.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_every_stage_that_people_trigger_is_deployed() -> None:
    wanted = {"personalize", "profile", "train", "rerank", "evaluate", "watch-metadata"}
    assert wanted | {"reproduce-paper"} <= {one["name"] for one in DEPLOYED}


@pytest.mark.parametrize("one", DEPLOYED, ids=lambda one: one["name"])
def test_a_deployment_leads_to_a_flow_in_a_pool_that_exists(one) -> None:
    assert isinstance(load(one["entrypoint"]), Flow)
    assert one["work_pool"]["name"] in {pool.name for pool in pools()}
    assert one["concurrency_limit"]["limit"] == 1
    assert one["tags"]
    assert one["description"]


@pytest.mark.parametrize("one", DEPLOYED, ids=lambda one: one["name"])
def test_the_form_explains_every_field(one) -> None:
    schema = parameter_schema(load(one["entrypoint"])).model_dump_for_openapi()
    sections = schema["definitions"].values()
    fields = [
        (name, field)
        for part in [schema, *(one for one in sections if "properties" in one)]
        for name, field in part["properties"].items()
        if "$ref" not in field  # a section has its own text
    ]
    assert len(fields) > 50
    assert [name for name, field in fields if not field.get("description")] == []


def test_a_deployment_cannot_lose_the_gpu() -> None:
    (gpu,) = (pool for pool in pools() if pool.name == "gpu")
    variables = gpu.template["variables"]["properties"]
    asked = gpu.template["job_configuration"]["container_create_kwargs"]
    assert "container_create_kwargs" not in variables, "it would replace the whole mapping"
    assert asked["device_requests"][0]["count"] == "{{ gpu_count }}"
    assert asked["device_requests"][0]["capabilities"] == [["gpu", "compute", "utility"]]
    assert asked["shm_size"] == "{{ shm_size }}"
    assert variables["gpu_count"]["default"] == -1


def test_only_the_gpu_pool_asks_for_gpus() -> None:
    asking = [pool.name for pool in pools() if "device_requests" in str(pool.template)]
    assert asking == ["gpu"]


def test_training_on_a_gpu_is_what_the_gpu_deployment_asks_for() -> None:
    (one,) = (one for one in DEPLOYED if one["name"] == "train")
    assert one["work_pool"]["name"] == "gpu"
    config = train.validate_parameters(one["parameters"])["config"]
    assert config.graph.device == "cuda"


def test_compose_pins_every_image_and_asks_for_the_password() -> None:
    composed = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    images = {one["image"] for one in composed["services"].values()}
    assert not [image for image in images if image.endswith(":latest") or ":" not in image]
    assert ":?" in composed["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert {"postgres", "server", "setup", "worker-cpu", "worker-gpu"} <= set(composed["services"])
