"""Names of flow runs that tell the data, the preset, the model and the trigger."""

import re
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Final

from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from recsys_core.config.form import unfolded

_RANDOM: Final = re.compile(r"[a-z]+-[a-z]+")
"""Prefect's own names; any other was given by somebody, and stays."""
_BEST: Final = "best"
_RULES: Final = "rules"
_TRIGGERS: Final = {"SCHEDULE": "scheduled", "AUTOMATION": "items changed"}


def run_name() -> str:
    """`shop, paper, gpt-5-mini, scheduled, 2026-11-29 03:00`: data, preset, model, trigger, when.

    The time is UTC; a preset and a model that are the usual ones (`best`, `rules`) are left out.
    """
    given = flow_run.name or ""
    if given and not _RANDOM.fullmatch(given):
        return given
    config = given_config()
    parts = [data_name(config), *chosen(config), trigger()]
    return ", ".join([*parts, f"{datetime.now(UTC):%Y-%m-%d %H:%M}"])


def given_config() -> Any:
    """The configuration of the run in progress, or its JSON as a form gave it, unfolded."""
    config = (flow_run.parameters or {}).get("config")
    return unfolded(config) if isinstance(config, dict) else config


def chosen(config: Any) -> list[str]:
    """Preset and language model of a configuration, or of its JSON, where they are not the usual.

    A graph model with another preset than the run's is named beside it.
    """
    told = config if isinstance(config, dict) else config.model_dump() if config else {}
    preset = str(told.get("preset") or _BEST)
    graph = str((told.get("graph") or {}).get("preset") or preset)
    same = {_BEST: _BEST, "quick": _BEST, "paper": "paper"}
    if graph != same.get(preset, preset) and graph != preset:
        preset = f"{preset} with graph {graph}"
    model = PurePosixPath(str((told.get("llm") or {}).get("model") or _RULES)).name
    return [one for one in (preset, model) if one not in {_BEST, _RULES}]


def recommend_name() -> str:
    """`lists from ml100k, command line, 2026-11-29 03:00`: the run that trained, and who asks."""
    given = flow_run.name or ""
    if given and not _RANDOM.fullmatch(given):
        return given
    config = given_config()
    run = config.get("run", "served") if isinstance(config, dict) else getattr(config, "run", "")
    source = PurePosixPath(str(run)).name
    return ", ".join([f"lists from {source}", trigger(), f"{datetime.now(UTC):%Y-%m-%d %H:%M}"])


def data_name(config: Any) -> str:
    """Name of the data set that a configuration, or its JSON, speaks of."""
    data = config.get("data", {}) if isinstance(config, dict) else config.data.model_dump()
    source = str(data.get("source", "ml-100k"))
    return PurePosixPath(source).name or source


def trigger() -> str:
    """What started the run in progress."""
    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    if run is None or run.deployment_id is None:
        return "command line"
    by = run.created_by.type if run.created_by else ""
    if "auto-scheduled" in run.tags:
        return _TRIGGERS["SCHEDULE"]
    return _TRIGGERS.get(str(by), "by hand")
