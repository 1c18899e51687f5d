"""Make a Prefect server ready: work pools, limits, automations, deployments. Run it again any time.

    PREFECT_API_URL=http://127.0.0.1:4200/api python -m deployments.setup

Needs the extra `ops` (`pip install -c requirements.lock -e '.[ops]'`). What exists is brought to
the state of these files; what somebody added by hand stays.
"""

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx
from prefect.automations import Automation
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from deployments.pools import Pool, pools

ROOT: Final = Path(__file__).resolve().parents[1]
TAG_LIMITS: Final = {"llm": 4, "network": 2, "gpu": 1}
"""Task runs at a time over all workers: steps that ask a model, that download, that train."""
SILENCE: Final = timedelta(minutes=10)
"""A run that has sent a heartbeat and then nothing for this long is dead. Prefect's default is one
heartbeat in three minutes, so a shorter time than two of these would crash runs that are alive."""
ZOMBIES: Final = "recsys: crash flow runs whose heartbeat stopped"


class SetupError(Exception):
    """The server cannot be made ready; the message says why and what to do."""


def main(argv: Sequence[str]) -> int:
    """Create or update everything; 0 if all is well, 1 with one message if not."""
    parser = argparse.ArgumentParser(prog="python -m deployments.setup", description=__doc__)
    parser.add_argument("--no-deploy", action="store_true", help="pools, limits, automations only")
    text = "seconds without a heartbeat after which a run counts as dead (%(default)s)"
    parser.add_argument("--silence", type=int, default=int(SILENCE.total_seconds()), help=text)
    options = parser.parse_args(argv)
    try:
        asyncio.run(prepare(timedelta(seconds=options.silence)))
        if not options.no_deploy:
            deploy()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def prepare(silence: timedelta = SILENCE) -> None:
    """Create or update work pools, limits and automations."""
    url = get_current_settings().api.url
    if not url:
        raise SetupError(
            "PREFECT_API_URL is not set, so there is no server to set up.\n"
            "  To fix it: export PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    async with get_client() as client:
        try:
            await client.hello()
        except httpx.HTTPError as error:
            raise SetupError(
                f"The Prefect server at {url} does not answer: {error!r}\n"
                "  To fix it: start it (`prefect server start`), or correct PREFECT_API_URL."
            ) from error
        for pool in pools():
            await _put_pool(client, pool)
        for tag, limit in TAG_LIMITS.items():
            await client.create_concurrency_limit(tag=tag, concurrency_limit=limit)
    await _put_automation(crash_zombies(silence))


async def _put_pool(client: PrefectClient, pool: Pool) -> None:
    try:
        await client.read_work_pool(pool.name)
    except ObjectNotFound:
        await client.create_work_pool(
            WorkPoolCreate(
                name=pool.name,
                type=pool.type,
                description=pool.description,
                concurrency_limit=pool.concurrency_limit,
                base_job_template=pool.template,
            )
        )
        return
    update: dict[str, object] = {
        "description": pool.description,
        "concurrency_limit": pool.concurrency_limit,
    }
    if pool.template:
        update["base_job_template"] = pool.template
    await client.update_work_pool(pool.name, WorkPoolUpdate.model_validate(update))


def crash_zombies(silence: timedelta = SILENCE) -> Automation:
    """Marks a run Crashed when its heartbeat stops: its machine, or its worker with it, is gone."""
    ended = {
        f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")
    }
    beat = "prefect.flow-run.heartbeat"
    return Automation(
        name=ZOMBIES,
        trigger=EventTrigger(
            after={beat},
            expect={beat, *ended},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=silence,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, message="No heartbeat: the worker or its machine is gone."
            )
        ],
    )


async def _put_automation(automation: Automation) -> None:
    try:
        old = await Automation.aread(name=automation.name)
    except ValueError:  # Prefect's way to say that there is none
        await automation.acreate()
        return
    await automation.model_copy(update={"id": old.id}).aupdate()


def deploy() -> None:
    """Deploy everything in prefect.yaml."""
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    command += ["--prefect-file", "deployments/prefect.yaml"]
    # The forms' defaults are made here and used elsewhere: let them name the worker's own places.
    places = {name: f"${name}" for name in ("RECSYS_ARTIFACTS", "RECSYS_RUNS")}
    done = subprocess.run(command, cwd=ROOT, env=os.environ | places, check=False)  # noqa: S603
    if done.returncode:
        raise SetupError(f"`prefect deploy` failed with exit status {done.returncode}.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
