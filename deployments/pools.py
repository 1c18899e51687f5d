"""The work pools: processes on CPUs, containers, containers with GPUs.

A Docker work pool has no field for GPUs. The job template of `gpu` passes a device request to the
engine itself, with `gpu_count` and `shm_size` as its own variables: a deployment that set
`container_create_kwargs` would replace the whole mapping, and lose the GPU without a word.
"""

import os
from dataclasses import dataclass, field
from typing import Any, Final

from deployments.site import Site

IMAGE: Final = "recsys:0.1.0"
GPU_IMAGE: Final = "recsys-gpu:0.1.0"
DATA_VOLUME: Final = "recsys-data:/data"
SHM_SIZE: Final = "8g"
CONTAINER_ENVIRONMENT: Final = {
    "PREFECT_HOME": "/home/app/.prefect",
    "PREFECT_RESULTS_LOCAL_STORAGE_PATH": "/data/results",
}
"""A worker hands its own settings on to its containers: paths of another machine among them."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A work pool as it shall be.

    Attributes:
        concurrency_limit: flow runs at a time over all its workers; None for no limit.
        template: base job template; empty for the work pool type's own.
    """

    name: str
    type: str
    description: str
    concurrency_limit: int | None = None
    template: dict[str, Any] = field(default_factory=dict)


def pools(site: Site | None = None) -> tuple[Pool, ...]:
    """The three pools, their containers with the variables and mounts of `site`."""
    site = site or Site()
    return (
        Pool(name="cpu", type="process", description="Flow runs as processes beside their worker."),
        Pool(
            name="docker",
            type="docker",
            description="Flow runs in containers.",
            template=container_template(IMAGE, site),
        ),
        Pool(
            name="gpu",
            type="docker",
            description="Flow runs in containers that get NVIDIA GPUs.",
            concurrency_limit=1,
            template=container_template(GPU_IMAGE, site, gpu=True),
        ),
    )


def container_template(image: str, site: Site, *, gpu: bool = False) -> dict[str, Any]:
    """Job template of a Docker pool: our image, the shared volume, shared memory, perhaps GPUs."""
    from prefect_docker.worker import DockerWorker

    template: dict[str, Any] = DockerWorker.get_default_base_job_template()
    variables = template["variables"]["properties"]
    variables["image"]["default"] = image
    variables["image_pull_policy"]["default"] = "IfNotPresent"
    variables["auto_remove"]["default"] = True
    variables["volumes"]["default"] = [DATA_VOLUME, *_own_data(), *site.volumes]
    variables["networks"]["default"] = _networks()
    # Prefect puts in what the worker's environment holds when it starts a container, so that no
    # value is stored on the server; docker/entrypoint.sh unsets what the worker does not have.
    handed_on = {name: f"{{{{ ${name} }}}}" for name in site.handed_on}
    variables["env"]["default"] = CONTAINER_ENVIRONMENT | handed_on
    del variables["container_create_kwargs"]
    variables["shm_size"] = _variable("Shared memory", "string", SHM_SIZE, "Such as 8g.")
    create: dict[str, Any] = {"shm_size": "{{ shm_size }}"}
    if gpu:
        text = "GPUs per container; -1 for all."
        variables["gpu_count"] = _variable("GPUs", "integer", -1, text) | {"minimum": -1}
        create["device_requests"] = [_device_request()]
    template["job_configuration"]["container_create_kwargs"] = create
    return template


def _own_data() -> list[str]:
    """The folder RECSYS_OWN_DATA (compose sets it) under the same path, to be read only."""
    folder = os.environ.get("RECSYS_OWN_DATA")
    return [f"{folder}:{folder}:ro"] if folder else []


def _networks() -> list[str]:
    """Network that containers join to reach the server, from RECSYS_NETWORK (compose sets it)."""
    name = os.environ.get("RECSYS_NETWORK")
    return [name] if name else []


def _device_request() -> dict[str, Any]:
    capabilities = [["gpu", "compute", "utility"]]
    return {"driver": "nvidia", "count": "{{ gpu_count }}", "capabilities": capabilities}


def _variable(title: str, kind: str, default: object, description: str) -> dict[str, Any]:
    return {"title": title, "type": kind, "default": default, "description": description}
