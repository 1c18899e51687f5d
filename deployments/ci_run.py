"""Start a deployment, wait for it, and hold its metrics to those of the last accepted run.

    PREFECT_API_URL=... python -m deployments.ci_run --timeout 3600

Exit status: 0 the run is complete and passes the gate; 1 it failed, crashed or took too long;
2 it could not be started (no server, no such deployment, a wrong parameter); 3 its work pool has
no worker that is online; 4 it is complete and does not pass the gate.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterName,
)
from prefect.client.schemas.objects import WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from deployments.gate import Accepted, GateError, Headline, hold, judged, read_accepted, record
from tasks.runtime.prefect_artifacts import HEADLINE_KEY

FAILED: Final = 1
NOT_STARTED: Final = 2
NO_WORKER: Final = 3
BELOW_THE_GATE: Final = 4
SECONDS_BETWEEN_LOOKS: Final = 5.0
ACCEPTED_FILE: Final = Path("deployments") / "accepted.json"


class CannotRun(Exception):
    """The run cannot be started, or did not end well; `status` is the exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def main(argv: Sequence[str]) -> int:
    """Run, wait, judge; one message on stderr when something is wrong."""
    options = _parser().parse_args(argv)
    try:
        asyncio.run(check_ready(options.deployment, options.param))
        name = options.run_name or f"ci-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        start(options, name)
        headline = asyncio.run(read_headline(name))
        show(headline)
        apply_gate(options, headline, name)
    except CannotRun as error:
        print(error, file=sys.stderr)
        return error.status
    except GateError as error:
        print(error, file=sys.stderr)
        return BELOW_THE_GATE
    return 0


async def check_ready(deployment: str, parameters: Sequence[str]) -> None:
    """Make sure that a run would start: server, deployment, parameters, a worker that is online.

    Raises:
        CannotRun: one of them is missing; a run would fail, or wait for ever.
    """
    url = get_current_settings().api.url
    if not url:
        raise CannotRun("PREFECT_API_URL is not set: which server shall run this?", NOT_STARTED)
    try:
        async with get_client() as client:
            found = await client.read_deployment_by_name(deployment)
            _check_names(found, parameters)
            await _check_workers(client, found)
    except ObjectNotFound as error:
        raise CannotRun(
            f"The server at {url} has no deployment {deployment!r}.\n"
            "  To fix it: python -m deployments.setup",
            NOT_STARTED,
        ) from error
    except httpx.HTTPError as error:
        raise CannotRun(
            f"The Prefect server at {url} does not answer: {error!r}\n"
            "  To fix it: start it, or correct PREFECT_API_URL.",
            NOT_STARTED,
        ) from error


def _check_names(deployment: DeploymentResponse, parameters: Sequence[str]) -> None:
    # The server refuses wrong values, and takes any name: the run would fail when it starts.
    known = (deployment.parameter_openapi_schema or {}).get("properties", {})
    unknown = [one for one in parameters if one.partition("=")[0] not in known]
    if unknown:
        raise CannotRun(
            f"The flow has no such parameter: {', '.join(unknown)}.\n"
            f"  Expected: KEY=JSON with KEY among {', '.join(known)}.",
            NOT_STARTED,
        )


async def _check_workers(client: PrefectClient, deployment: DeploymentResponse) -> None:
    pool = deployment.work_pool_name
    if pool is None:
        return
    workers = await client.read_workers_for_work_pool(pool)
    if not any(worker.status == WorkerStatus.ONLINE for worker in workers):
        raise CannotRun(
            f"Work pool {pool!r} has no worker that is online ({len(workers)} known), so the run"
            f" would wait for ever.\n  To fix it: prefect worker start --pool {pool}",
            NO_WORKER,
        )


def start(options: argparse.Namespace, name: str) -> None:
    """Run the deployment and wait for its end.

    Raises:
        CannotRun: it failed, crashed, was refused or took longer than the time-out.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deployment", "run"]
    command += [options.deployment, "--flow-run-name", name, "--tag", "ci"]
    command += ["--watch", "--watch-timeout", str(options.timeout)]
    for parameter in options.param:
        command += ["--param", parameter]
    late = time.monotonic() + options.timeout
    done = subprocess.run(command, check=False)  # noqa: S603  our own interpreter
    # The command also fails when its own connection does, whatever becomes of the run.
    if done.returncode and not asyncio.run(ended_well(name, late)):
        raise CannotRun(
            f"{options.deployment} ({name}) did not end as Completed within {options.timeout} s;"
            " what Prefect said stands above.",
            FAILED,
        )


async def ended_well(name: str, late: float) -> bool:
    """Whether the flow run `name` ends as Completed before `late` (`time.monotonic`)."""
    by_name = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
    while True:
        try:
            async with get_client() as client:
                found = await client.read_flow_runs(flow_run_filter=by_name)
        except httpx.HTTPError:
            found = None
        state = found[0].state if found else None
        if found == [] or (state is not None and state.is_final()):
            return state is not None and state.is_completed()
        if time.monotonic() > late:
            return False
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)


async def read_headline(name: str) -> Headline:
    """Headline metrics of the flow run `name`, from the table that it published.

    Raises:
        CannotRun: it published none.
    """
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[HEADLINE_KEY])),
            flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])),
        )
    if not found:
        raise CannotRun(f"Run {name} published no table {HEADLINE_KEY!r} to judge.", FAILED)
    rows: list[dict[str, Any]] = json.loads(str(found[0].data))
    return {
        str(row["method"]): {k: v for k, v in row.items() if isinstance(v, int | float)}
        for row in rows
    }


def show(headline: Headline) -> None:
    """Print a line per method."""
    for method, values in headline.items():
        figures = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        print(f"{method:<20} {figures}")


def apply_gate(options: argparse.Namespace, headline: Headline, name: str) -> None:
    """Hold the run to the accepted one; record it as the accepted one if that was asked for."""
    now: Accepted = judged(headline, options.method, options.metric, name)
    if options.accept:
        record(options.accepted, now)
        print(f"Accepted: {now.method}, {options.metric}@10 {now.metrics[options.metric]:.4f}")
        return
    print(hold(now, read_accepted(options.accepted), options.metric, options.max_drop))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deployments.ci_run",
        description="Run a deployment and hold its metrics to those of the last accepted run.",
    )
    add = parser.add_argument
    add("--deployment", default="personalize/personalize", help="default: %(default)s")
    add("--param", action="append", default=[], metavar="KEY=JSON", help="parameter of the flow")
    add("--timeout", type=int, default=3600, help="seconds to wait (%(default)s)")
    add("--run-name", help="name of the flow run; default: ci- and the time")
    add("--method", help="whose metrics are judged; default: the lists that are served")
    add("--metric", default="ndcg", help="which metric at k = 10 (%(default)s)")
    add("--max-drop", type=float, default=0.01, help="how far it may fall (%(default)s)")
    add("--accepted", type=Path, default=ACCEPTED_FILE, help="record (%(default)s)")
    add("--accept", action="store_true", help="record this run as the accepted one")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
