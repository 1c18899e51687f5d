"""Proves containers with a real engine; started by docker/prove.sh.

1. The small pipeline in a container: Completed, artifacts where the worker's environment says, on
   the shared volume, container gone.
2. A container is killed in the middle: the run is Crashed; a second run resumes from artifacts.
3. `graph.device: cuda` in an image without CUDA ends at once, with a message.
4. A run of the pool `gpu` asks the engine for GPUs; where there are none the engine refuses.

Everything is on loopback. Exit status 0 if all of it holds.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.local_server import LocalServer, serving, wait_for
from tests.small_data import SCALE, write_small

VOLUME: Final = "recsys-proof"
CONTAINER: Final = "personalize/personalize-container"
STEPS_BEFORE_THE_KILL: Final = 6
PLACES: Final = {"RECSYS_ARTIFACTS": "/data/of-the-worker", "RECSYS_RUNS": "/data/its-runs"}
"""What the workers' environment says: their containers must hear of it."""


def main(image: str, folder: Path) -> None:
    """Prove everything."""
    docker("volume", "rm", "--force", VOLUME)
    shutil.rmtree(folder / "server", ignore_errors=True)
    fill_volume(image, write_small(folder / "small"))
    with serving(folder / "server") as server:
        done = server.call("deployments.setup")
        expect(done.returncode == 0, "deployed", done.stdout[-500:] + done.stderr)
        server.worker("docker", **PLACES)
        server.worker("gpu", **PLACES)
        completes(server, image)
        resumes(server, image)
        asks_for_gpus(server, image)
    refuses_cuda(image)
    docker("volume", "rm", "--force", VOLUME)


def fill_volume(image: str, data: Path) -> None:
    """Lay the data onto the shared volume."""
    mounts = ["--volume", f"{data}:/in:ro", "--volume", f"{VOLUME}:/data"]
    docker("run", "--rm", "--network", "host", *mounts, image, "cp", "-r", "/in", "/data/small")


def completes(server: LocalServer, image: str) -> None:
    """The documented command, to its end."""
    started = time.monotonic()
    done = server.call(
        "prefect", "deployment", "run", CONTAINER, "--watch", "--watch-timeout", "550",
        "--param", f"config={json.dumps(config(seed=0))}",
        "--job-variable", f"image={image}", "--job-variable", f'volumes=["{VOLUME}:/data"]',
        timeout=600,
    )  # fmt: skip
    said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}{server.log('worker-docker')[-2000:]}"
    expect(done.returncode == 0, "run in a container: Completed", said)
    print(f"   {time.monotonic() - started:.0f} s from the command to its end")
    gone(server.runs_of(CONTAINER)[-1]["id"])
    listed = on_volume(image, "ls", *PLACES.values(), f"{PLACES['RECSYS_RUNS']}/latest/")
    expect("recommendations.parquet" in listed and "train" in listed, "on the volume", listed)
    print("   " + " ".join(listed.split()))


def resumes(server: LocalServer, image: str) -> None:
    """Kill the container when some steps are done; run the same again."""
    parameters, variables = {"config": config(seed=1)}, job(image)
    killed = server.run_id(CONTAINER, parameters, job_variables=variables)
    wait_for(lambda: finished(server, killed) >= STEPS_BEFORE_THE_KILL, 200, "the first steps")
    docker("kill", container_of(killed))
    started = time.monotonic()
    state = server.end_of(killed)
    expect(state["name"] == "Crashed", "killed in the middle: Crashed", str(state))
    print(f"   {time.monotonic() - started:.0f} s after the kill: {state['message']}")
    gone(killed)
    again = server.run_id(CONTAINER, parameters, job_variables=variables)
    state = server.end_of(again, 500)
    expect(state["name"] == "Completed", "the same again: Completed", str(state))
    kept = [name for name, how in server.steps(again).items() if how == "Cached"]
    expect(len(kept) >= STEPS_BEFORE_THE_KILL - 1, "resumed from artifacts", str(kept))
    print(f"   {len(kept)} of {len(server.steps(again))} steps found: {' '.join(sorted(kept))}")


def asks_for_gpus(server: LocalServer, image: str) -> None:
    """What the pool `gpu` asks of the engine."""
    variables = job(image) | {"gpu_count": 2, "shm_size": "1g"}
    run = server.run_id("train/train", {"config": config(seed=0)}, job_variables=variables)
    state = server.end_of(run)
    told = str(state["message"]) + server.log("worker-gpu")
    expect("could not select device driver" in told, "GPUs asked for, refused", told[-2000:])
    expect(state["name"] == "Crashed", "the run is Crashed", str(state))
    said = re.search(r"could not select device driver.*?\]\]", told)
    print(f"   {said[0] if said else told[-300:]}")


def refuses_cuda(image: str) -> None:
    """No hours of work before the error."""
    asked = ["python3.11", "-m", "flows.personalize", "--graph.device", "cuda"]
    command = ["docker", "run", "--rm", "--network", "host", image, *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)  # noqa: S603
    expect(done.returncode == 2 and "cuda" in done.stderr, "no CUDA: refused", done.stderr)
    print("   " + next(line for line in done.stderr.splitlines() if "ConfigError" in line))


def config(*, seed: int) -> dict[str, Any]:
    """The small pipeline."""
    return {
        "data": {"source": "/data/small", **SCALE},
        "graph": {"max_epochs": 10},
        "evaluation": {"bootstrap": 50},
        "seed": seed,
    }


def job(image: str) -> dict[str, Any]:
    return {"image": image, "volumes": [f"{VOLUME}:/data"]}


def finished(server: LocalServer, run: str) -> int:
    return sum(how in {"Completed", "Cached"} for how in server.steps(run).values())


def container_of(run: str, *, running: bool = True) -> str:
    """Id of a flow run's container; empty if there is none."""
    scope = [] if running else ["--all"]
    label = f"label=io.prefect.flow-run-id={run}"
    return docker("ps", *scope, "--quiet", "--no-trunc", "--filter", label)


def gone(run: str) -> None:
    wait_for(lambda: not container_of(run, running=False), 60, "the end of the container")
    print("ok container gone")


def on_volume(image: str, *command: str) -> str:
    return docker("run", "--rm", "--network", "host", "-v", f"{VOLUME}:/data", image, *command)


def docker(*command: str) -> str:
    """Call the engine; its answer."""
    done = subprocess.run(["docker", *command], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        sys.exit(f"docker {' '.join(command)}: {done.stderr}")
    return done.stdout.strip()


def expect(condition: bool, what: str, seen: str) -> None:
    if not condition:
        sys.exit(f"FAILED {what}\n{seen}")
    print(f"ok {what}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
