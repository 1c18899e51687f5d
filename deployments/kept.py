"""What was changed on the server stays: parameters and schedules of deployments that exist."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse

from deployments.site import Deployment

Existing = Mapping[tuple[str, str], DeploymentResponse]
"""Deployments on the server by entrypoint and name."""


async def read_existing(client: PrefectClient) -> Existing:
    """All deployments on the server."""
    found: dict[tuple[str, str], DeploymentResponse] = {}
    while page := await client.read_deployments(limit=200, offset=len(found)):
        found |= {(one.entrypoint or "", one.name): one for one in page}
    return found


def keep_changes(wanted: Sequence[Deployment], existing: Existing) -> list[str]:
    """Put what the server has in the place of what `wanted` says, where the two differ.

    Args:
        wanted: entries for `prefect deploy`, changed in place.
        existing: the deployments on the server.

    Returns:
        A line per difference.
    """
    told = []
    for one in wanted:
        there = existing.get((one["entrypoint"], one["name"]))
        if there is None:
            continue
        now: dict[str, Any] = {
            "parameters": there.parameters or {},
            "schedules": [_schedule(schedule) for schedule in there.schedules],
        }
        for key, kept in now.items():
            if kept != (one.get(key) or type(kept)()):
                told.append(f"{one['name']}: {key} stay as on the server: {_short(kept)}")
                one[key] = kept
    return told


def _schedule(one: DeploymentSchedule) -> dict[str, Any]:
    """A schedule as prefect.yaml writes it."""
    found = one.schedule.model_dump(exclude_none=True, exclude_defaults=True)
    if isinstance(every := found.get("interval"), timedelta):
        found["interval"] = every.total_seconds()
    found |= {"active": one.active}
    found |= {"slug": one.slug} if one.slug else {}
    found |= {"parameters": one.parameters} if one.parameters else {}
    return found | {"timezone": getattr(one.schedule, "timezone", None) or "UTC"}


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:199]}…"
