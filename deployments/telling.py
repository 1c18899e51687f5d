"""The automation that tells somebody: a run failed or crashed, or fell below the gate."""

from typing import Final
from uuid import UUID

from prefect.automations import Automation
from prefect.client.orchestration import PrefectClient
from prefect.events import emit_event
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from recsys_core.errors import ConfigError

TOLD: Final = "recsys: tell of runs that failed"
BELOW_GATE: Final = "recsys.gate.failed"
"""Event of a flow run whose metrics fell below the accepted run's (deployments/ci_run.py)."""
_SUBJECT: Final = "{{ flow_run.name }} of {{ flow.name }}: {{ event.event }}"
_BODY: Final = """\
{{ flow_run.name }} of {{ deployment.name }}: {{ event.payload.reason or flow_run.state.name }}
{{ flow_run.state.message or '' }}
{{ flow_run | ui_url }}"""


async def read_block(client: PrefectClient, name: str) -> UUID:
    """Id of the notification block `TYPE/NAME`.

    Raises:
        ConfigError: there is none.
    """
    kind, _, slug = name.partition("/")
    try:
        return (await client.read_block_document_by_name(slug, kind)).id
    except ObjectNotFound as error:
        raise ConfigError(
            f"The server has no block {name!r} to tell of failures.",
            expected="TYPE/NAME of a notification block.",
            fix="create it in the UI (Blocks) or as docs/operations.md shows, or set `tell: null`.",
        ) from error


def tell_failures(block: UUID) -> Automation:
    """Sends one message when a run of ours fails, crashes or falls below the gate.

    A budget that is spent ends its run as Failed, so it is told, too.
    """
    return Automation(
        name=TOLD,
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed", BELOW_GATE},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            match_related=ResourceSpecification(
                {"prefect.resource.id": ["prefect.tag.recsys"], "prefect.resource.role": ["tag"]}
            ),
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[SendNotification(block_document_id=block, subject=_SUBJECT, body=_BODY)],
    )


def emit_below_gate(run_id: UUID, name: str, reason: str) -> None:
    """Emit the event that a run fell below the gate."""
    emit_event(
        event=BELOW_GATE,
        resource={
            "prefect.resource.id": f"prefect.flow-run.{run_id}",
            "prefect.resource.name": name,
        },
        related=[
            {"prefect.resource.id": "prefect.tag.recsys", "prefect.resource.role": "tag"},
        ],
        payload={"reason": reason},
    )
