"""Start a deployment, wait for it, and hold its metrics to those of the last accepted run.

    PREFECT_API_URL=... python -m deployments.ci_run --timeout 3600

Exit status: 0 the run is complete and passes the gate; 1 it failed, crashed or took too long;
2 it could not be started (no server, no such deployment, a wrong parameter); 3 its work pool is
paused or has no worker that is online; 4 it is complete and does not pass the gate.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import State, WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.states import Cancelling

from deployments.gate import (
    Accepted,
    GateError,
    Headline,
    MeasuredOn,
    hold,
    judged,
    read_accepted,
    record,
)
from deployments.telling import emit_below_gate
from recsys_core.config.run import runs_place
from recsys_core.errors import ConfigError, RecsysError
from recsys_core.serving.product.pointer import promote
from tasks.runtime.server.prefect_artifacts import HEADLINE_KEY

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
        given = parsed(options.param)
        run = asyncio.run(run_to_end(options.deployment, name, given, options.timeout))
        headline, measured_on = asyncio.run(read_headline(run))
        show(headline)
        now = judged(headline, options.method, options.metric, name, measured_on)
        try:
            apply_gate(options, now)
        except GateError as error:
            emit_below_gate(run, name, str(error))
            raise
        if options.promote:
            print(promote_run(options.runs_root, str(run), name))
    except CannotRun as error:
        print(error, file=sys.stderr)
        return error.status
    except httpx.HTTPError as error:
        print(f"The Prefect server went away: {error!r}", file=sys.stderr)
        return FAILED
    except RecsysError as error:
        print(f"The run passed the gate and does not serve: {error}", file=sys.stderr)
        return FAILED
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
    name = deployment.work_pool_name
    if name is None:
        return
    pool = await client.read_work_pool(name)
    if pool.is_paused:
        raise CannotRun(
            f"Work pool {name!r} is paused, so the run would wait for ever.\n"
            f"  To fix it: prefect work-pool resume {name}",
            NO_WORKER,
        )
    workers = await client.read_workers_for_work_pool(name)
    if not any(worker.status == WorkerStatus.ONLINE for worker in workers):
        raise CannotRun(
            f"Work pool {name!r} has no worker that is online ({len(workers)} known), so the run"
            f" would wait for ever.\n  To fix it: prefect worker start --pool {name}",
            NO_WORKER,
        )


def parsed(parameters: Sequence[str]) -> dict[str, Any]:
    """`KEY=JSON` arguments as parameters.

    Raises:
        CannotRun: a value is no JSON.
    """
    found = {}
    for one in parameters:
        name, _, value = one.partition("=")
        try:
            found[name] = json.loads(value)
        except ValueError as error:
            raise CannotRun(
                f"--param {one}: {error}.\n  Expected: KEY=JSON, such as config='{{\"seed\": 1}}'.",
                NOT_STARTED,
            ) from error
    return found


async def run_to_end(
    deployment: str, name: str, parameters: dict[str, Any], seconds: float
) -> UUID:
    """Run the deployment and wait for its end; the id of the flow run.

    Raises:
        CannotRun: it was refused, failed, crashed, or took longer than `seconds`; it is cancelled
            then.
    """
    end = time.monotonic() + seconds
    async with get_client() as client:
        found = await client.read_deployment_by_name(deployment)
        try:
            run = await client.create_flow_run_from_deployment(
                found.id, name=name, parameters=parameters, tags=["ci"]
            )
        except httpx.HTTPStatusError as error:
            raise CannotRun(f"{deployment} refuses this run: {_detail(error)}", FAILED) from error
        print(f"{deployment}: started {name} ({run.id})", flush=True)
        state = await _final_state(client, run.id, end)
        if state is None:
            last = await _cancel(client, run.id)
            raise CannotRun(
                f"{name} did not end within {seconds:.0f} s ({last}); it was cancelled.\n"
                "  To fix it: look at its log; a longer time is --timeout.",
                FAILED,
            )
    if not state.is_completed():
        raise CannotRun(f"{name} ended as {state.name}: {state.message or 'no message'}", FAILED)
    return run.id


async def _final_state(client: PrefectClient, run: UUID, end: float) -> State[Any] | None:
    """The state in which the run ended; None if it had not by `end`."""
    told = ""
    while True:
        try:
            state = (await client.read_flow_run(run)).state
        except httpx.HTTPError:  # the run goes on, whatever becomes of this connection
            state = None
        if state is not None:
            if state.name != told:
                print(f"  {state.name}", flush=True)
                told = state.name or ""
            if state.is_final():
                return state
        if time.monotonic() > end:
            return None
        await asyncio.sleep(min(SECONDS_BETWEEN_LOOKS, max(0.1, end - time.monotonic())))


async def _cancel(client: PrefectClient, run: UUID) -> str:
    """Ask for the end of the run; the name of the state it was in."""
    state = (await client.read_flow_run(run)).state
    await client.set_flow_run_state(run, Cancelling())
    return "it never started" if state is None else str(state.name)


def _detail(error: httpx.HTTPStatusError) -> str:
    try:
        return str(error.response.json()["detail"])
    except (ValueError, KeyError):
        return str(error)


async def read_headline(run: UUID) -> tuple[Headline, MeasuredOn]:
    """Headline metrics of a flow run, from the table that it published, and what they are of.

    Raises:
        CannotRun: it published none.
    """
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[HEADLINE_KEY])),
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])),
        )
    rows: list[dict[str, Any]] = json.loads(str(found[0].data)) if found else []
    if not rows:
        raise CannotRun(
            f"Run {run} published no table {HEADLINE_KEY!r} to judge.\n"
            "  Expected: a run of `personalize` with a test split.",
            FAILED,
        )
    values: Headline = {
        str(row["method"]): {k: v for k, v in row.items() if isinstance(v, int | float)}
        for row in rows
    }
    on = {k: v for k, v in rows[0].items() if isinstance(v, str) and k != "method"}
    return values, on


def show(headline: Headline) -> None:
    """Print a line per method."""
    for method, values in headline.items():
        figures = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        print(f"{method:<20} {figures}")


def apply_gate(options: argparse.Namespace, now: Accepted) -> None:
    """Hold the run to the accepted one; record it as the accepted one if that was asked for."""
    if options.accept:
        record(options.accepted, now)
        print(f"Accepted: {now.method}, {options.metric}@10 {now.metrics[options.metric]:.4f}")
        return
    print(hold(now, read_accepted(options.accepted), options.metric, options.max_drop))


def promote_run(runs_root: str, flow_run: str, name: str) -> str:
    """Let the run serve that a flow run wrote; returns what to print.

    Raises:
        ConfigError: its folder is not here, or holds no model.
    """
    for path in sorted(Path(runs_root).expanduser().glob("*/summary.json")):
        try:
            written = json.loads(path.read_text("utf-8")).get("flow_run_id")
        except (OSError, ValueError, AttributeError):
            continue  # no summary of ours
        if written == flow_run and not path.parent.is_symlink():
            made = promote(runs_root, path.parent.name, f"passed the gate as {name}")
            return f"Promoted: {made.run} serves."
    raise ConfigError(
        f"No folder below {runs_root} was written by the flow run {flow_run}.",
        expected="the folder of the runs, on this machine.",
        fix="name it with --runs-root, or promote where it is: python -m deployments.promote.",
    )


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
    add("--promote", action="store_true", help="let its model serve once it has passed")
    add("--runs-root", default=runs_place(), help="where its folder is, to promote (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
