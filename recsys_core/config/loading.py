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
from recsys_core.errors import ConfigError, StorageError
from recsys_core.redaction import blanked
from recsys_core.small_files import MOST_BYTES, checked, read_small_text

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
        path: the file, or its URI; None for none.
        overrides: what wins over the file.
        kind: whose parameters.

    Raises:
        ConfigError: the file is missing, is not YAML, or a field is unknown or out of bounds.
    """
    loaded = read_parameters(path)
    try:
        return kind.model_validate(merged(loaded, overrides or {}))
    except ValidationError as error:
        raise config_error(error) from error


def read_parameters(path: str | Path | None) -> dict[str, Any]:
    """The nested parameters of a YAML file, given as a path or a URI; none for no file.

    Raises:
        ConfigError: it cannot be read, or is no mapping.
    """
    if path is None:
        return {}
    try:
        loaded = read_yaml(_text_of(path)) or {}
    except (OSError, ValueError, StorageError) as error:
        raise ConfigError(
            f"Config file {path} cannot be read: {error}",
            expected="a YAML file whose keys are the parameters shown by --help.",
        ) from error
    if not isinstance(loaded, dict):
        raise ConfigError(
            f"Config file {path} holds a {type(loaded).__name__}.",
            expected="a mapping such as `seed: 1` or `data: {source: ml-1m}`.",
        )
    return loaded


def _text_of(path: str | Path) -> str:
    if "://" not in str(path):
        return read_small_text(path)
    from recsys_core.artifacts.filesystem import resolve  # pyarrow, which a path need not wait for

    filesystem, place = resolve(str(path))
    with filesystem.open_input_stream(place) as stream:
        return checked(stream.read(MOST_BYTES + 1), str(path))


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


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings, the values of `over` in the place of those of `base`."""
    found = dict(base)
    for key, value in over.items():
        below = found.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = merged(below, value)
        found[key] = value
    return found
