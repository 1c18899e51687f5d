"""Concurrency slots: a step that is about to wait for one says so in the run's log."""

from collections.abc import Iterable

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from tasks.runtime.messages import tell


def tell_if_waiting(step: str, tags: Iterable[str]) -> None:
    """Tell of every tag of a step whose slots are all taken; nothing without a server.

    Prefect itself waits without a word, and for ever where a slot has leaked.
    """
    if not get_current_settings().api.url:
        return
    with get_client(sync_client=True) as client:
        for tag in sorted(set(tags) - {"recsys", step}):
            try:
                limit = client.read_global_concurrency_limit_by_name(f"tag:{tag}")
            except ObjectNotFound:
                continue
            if limit.active and limit.active_slots >= limit.limit:
                tell(
                    f"{step.replace('_', ' ')} waits: {limit.active_slots} of {limit.limit} slots"
                    f" of the tag {tag} are taken (`prefect gcl inspect tag:{tag}`)"
                )
