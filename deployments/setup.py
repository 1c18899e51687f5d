"""Make a Prefect server ready: work pools, limits, automations, deployments. Run it again any time.

    PREFECT_API_URL=http://127.0.0.1:4200/api python -m deployments.setup

Needs the extra `ops` (`pip install -c requirements.lock -e '.[ops]'`). What is peculiar to this
installation stands in deployments/site.yaml. Limits, parameters and schedules that were changed on
the server stay, and are told; `--reset` overwrites them.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx
import yaml
from prefect.automations import Automation
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from deployments.kept import keep_changes, read_existing
from deployments.pools import Pool, pools
from deployments.site import SITE_FILE, Deployment, Site, deployments_of, read_site
from deployments.telling import TOLD, read_block, tell_failures
from recsys_core.errors import ConfigError

ROOT: Final = Path(__file__).resolve().parents[1]
PREFECT_FILE: Final = ROOT / "deployments" / "prefect.yaml"
LEASE_STORAGE: Final = (
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem"
)
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
    text = "settings of this installation (%(default)s)"
    parser.add_argument("--site", type=Path, default=SITE_FILE, metavar="FILE", help=text)
    text = "overwrite limits, parameters and schedules that were changed on the server"
    parser.add_argument("--reset", action="store_true", help=text)
    options = parser.parse_args(argv)
    try:
        site = read_site(options.site)
        silence = timedelta(seconds=options.silence)
        asyncio.run(prepare(silence, site=site, reset=options.reset))
        if not options.no_deploy:
            deploy(asyncio.run(wanted_deployments(site, reset=options.reset)))
    except (SetupError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 1
    except httpx.HTTPStatusError as error:
        print(f"The server refuses the setup: {str(error)[:1000]}", file=sys.stderr)
        return 1
    return 0


async def prepare(
    silence: timedelta = SILENCE, *, site: Site | None = None, reset: bool = False
) -> None:
    """Create or update work pools, limits and automations."""
    site = site or Site()
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
        for pool in pools(site):
            await _put_pool(client, pool, reset=reset)
        for tag, limit in TAG_LIMITS.items():
            await _put_limit(client, tag, limit, reset=reset)
        await _warn_of_leases(client)
        block = await read_block(client, site.tell) if site.tell else None
    await _put_automation(crash_zombies(silence))
    if block is not None:
        await _put_automation(tell_failures(block))
    else:
        await _delete_automation(TOLD)


async def _put_pool(client: PrefectClient, pool: Pool, *, reset: bool) -> None:
    try:
        there = await client.read_work_pool(pool.name)
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
    update: dict[str, object] = {"description": pool.description}
    if there.concurrency_limit != pool.concurrency_limit:
        if reset:
            update["concurrency_limit"] = pool.concurrency_limit
        else:
            print(f"Pool {pool.name}: its limit stays {there.concurrency_limit}.")
    if pool.template:
        update["base_job_template"] = pool.template
    await client.update_work_pool(pool.name, WorkPoolUpdate.model_validate(update))


async def _put_limit(client: PrefectClient, tag: str, limit: int, *, reset: bool) -> None:
    try:
        there = await client.read_concurrency_limit_by_tag(tag)
    except ObjectNotFound:
        there = None
    if there is None or reset:
        await client.create_concurrency_limit(tag=tag, concurrency_limit=limit)
    elif there.concurrency_limit != limit:
        print(f"Tag {tag}: its limit stays {there.concurrency_limit}.")


async def _warn_of_leases(client: PrefectClient) -> None:
    """Say so where slots would be lost with the server's memory."""
    answer = await client.request("GET", "/admin/settings")
    storage = answer.json()["server"]["concurrency"]["lease_storage"]
    if storage.endswith(".memory"):
        print(
            "Warning: this server keeps the leases of concurrency slots in memory. If it is killed"
            " while a step with a limited tag runs, later ones wait for ever.\n"
            f"  To fix it: start it with {LEASE_STORAGE}",
            file=sys.stderr,
        )


async def wanted_deployments(site: Site, *, reset: bool) -> list[Deployment]:
    """What shall be deployed, with what was changed on the server unless `reset`."""
    shipped = yaml.safe_load(PREFECT_FILE.read_text("utf-8"))["deployments"]
    wanted = deployments_of(site, shipped)
    if not reset:
        async with get_client() as client:
            existing = await read_existing(client)
        for line in keep_changes(wanted, existing):
            print(f"{line} (--reset overwrites)")
    return wanted


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


async def _delete_automation(name: str) -> None:
    try:
        old = await Automation.aread(name=name)
    except ValueError:
        return
    await old.adelete()


def deploy(wanted: Sequence[Deployment]) -> None:
    """Deploy these entries of prefect.yaml."""
    header = yaml.safe_load(PREFECT_FILE.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PREFECT_FILE.name
        file = {**header, "deployments": list(wanted)}
        file.pop("definitions", None)
        path.write_text(yaml.safe_dump(file, sort_keys=False), "utf-8")
        _prefect_deploy(path)


def _prefect_deploy(path: Path) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    command += ["--prefect-file", str(path)]
    done = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603
    if done.returncode:
        raise SetupError(f"`prefect deploy` failed with exit status {done.returncode}.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
