"""Configuration files: YAML in, a validated configuration out."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar, overload

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from recsys_core.bounded_yaml import read_yaml
from recsys_core.config.run import RunConfig
from recsys_core.errors import ConfigError
from recsys_core.redaction import blanked

_NOT_SHOWN: Final = frozenset({"value_error", "extra_forbidden"})
"""Findings that say what they saw, and those about fields that do not exist (`api_key`)."""

C = TypeVar("C", bound=BaseModel)


@overload
def load_config(
    path: str | Path | None, overrides: Mapping[str, Any] | None = None
) -> RunConfig: ...


@overload
def load_config(
    path: str | Path | None, overrides: Mapping[str, Any] | None, kind: type[C]
) -> C: ...


def load_config(
    path: str | Path | None,
    overrides: Mapping[str, Any] | None = None,
    kind: type[BaseModel] = RunConfig,
) -> BaseModel:
    """Read a YAML file of parameters and lay `overrides` (nested mappings) over it.

    Args:
        path: the file; None for none.
        overrides: what wins over the file.
        kind: whose parameters.

    Raises:
        ConfigError: the file is missing, is not YAML, or a field is unknown or out of bounds.
    """
    try:
        loaded = read_yaml(Path(path).read_text("utf-8")) if path else {}
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"Config file {path} cannot be read: {error}",
            expected="a YAML file whose keys are the parameters shown by --help.",
        ) from error
    if not isinstance(loaded or {}, dict):
        raise ConfigError(
            f"Config file {path} holds a {type(loaded).__name__}.",
            expected="a mapping such as `seed: 1` or `data: {source: ml-1m}`.",
        )
    try:
        return kind.model_validate(_merge(loaded or {}, overrides or {}))
    except ValidationError as error:
        raise config_error(error) from error


def config_error(error: ValidationError) -> ConfigError:
    """Pydantic's findings as one ConfigError that names every wrong field."""
    errors = error.errors()
    # A list whose entries were all refused is called too short, too; its entries say it.
    inside = {item["loc"][:-1] for item in errors}
    findings = [
        f"{'.'.join(map(str, item['loc'])) or 'configuration'}: {_finding(item)}"
        for item in errors
        if item["type"] != "too_short" or item["loc"] not in inside
    ]
    return ConfigError(
        "; ".join(findings) + ".",
        expected="values within the bounds that the `--help` of the command shows.",
        fix="correct these fields.",
    )


def _finding(item: ErrorDetails) -> str:
    if item["type"] in _NOT_SHOWN:
        return item["msg"]
    near = []
    if item["type"] == "literal_error":
        choices = re.findall(r"'([^']+)'", str(item.get("ctx", {}).get("expected", "")))
        near = get_close_matches(str(item["input"]), choices, 1)
    if near:
        return f"{blanked(repr(item['input']))} is no choice, did you mean {near[0]!r}?"
    return f"{item['msg']} (got {blanked(repr(item['input']))})"


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _merge(below, value)
        merged[key] = value
    return merged
