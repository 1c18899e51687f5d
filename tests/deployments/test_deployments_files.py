"""prefect.yaml, work pools and compose: what is deployed exists, explains itself, keeps its GPU."""

import importlib
import runpy
import subprocess
import sys
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
    assert len(fields) > (10 if one["name"] == "recommend" else 50)
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


def test_an_image_for_training_alone_replaces_torch_and_leaves_out_what_embeds() -> None:
    def wanted(*more: str) -> list[str]:
        script = [str(ROOT / "docker" / "dependencies.py"), str(ROOT / "pyproject.toml"), "ops"]
        done = subprocess.run(
            [sys.executable, *script, *more], capture_output=True, text=True, check=True
        )
        return done.stdout.split("\n")[:-1]

    plain = wanted("--without", "")
    training = wanted("torch==2.4.0", "--without", "sentence-transformers,transformers,openvino")
    assert set(plain) - set(training) == {
        line
        for line in plain
        if line.startswith(("torch==", "sentence-transformers==", "transformers==", "openvino=="))
    }
    assert set(training) - set(plain) == {"torch==2.4.0"}
    assert plain == wanted()


COMPOSED = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]


def test_compose_pins_every_image_and_asks_for_the_passwords() -> None:
    images = {one["image"] for one in COMPOSED.values()}
    assert not [image for image in images if image.endswith(":latest") or ":" not in image]
    assert ":?" in COMPOSED["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert ":?" in COMPOSED["server"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"]
    workers = {"worker-cpu", "worker-docker", "worker-gpu"}
    assert {"postgres", "server", "setup", "reports"} | workers <= set(COMPOSED)
    for name in workers:
        assert "PREFECT_API_AUTH_STRING" in COMPOSED[name]["environment"]
        assert COMPOSED[name]["env_file"][0]["path"] == "keys.env", "any provider's key"


def test_the_server_keeps_leases_on_a_volume_and_takes_any_password() -> None:
    server = COMPOSED["server"]
    assert server["environment"]["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith("filesystem")
    assert "server:/home/app/.prefect" in server["volumes"]
    assert not [value for value in server["environment"].values() if "@" in value], "no URL"


def test_compose_publishes_on_this_machine_alone() -> None:
    ports = [port for one in COMPOSED.values() for port in one.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_passwords_are_generated_once_and_for_the_owner_alone(tmp_path: Path, capsys) -> None:
    made = runpy.run_path(str(ROOT / "docker" / "make_env.py"))
    file = tmp_path / ".env"
    file.write_text("POSTGRES_PASSWORD=p@ss/w#rd")
    assert made["main"]([str(file)]) == 0
    first = file.read_text()
    lines = dict(line.split("=", 1) for line in first.splitlines())
    assert lines["POSTGRES_PASSWORD"] == "p@ss/w#rd"
    assert len(lines["PREFECT_AUTH"]) > len("admin:") + 24
    assert lines["PREFECT_AUTH"] not in capsys.readouterr().out
    assert file.stat().st_mode & 0o077 == 0
    assert made["main"]([str(file)]) == 0
    assert file.read_text() == first
