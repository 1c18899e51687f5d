"""The content key of a step: what it is, what it reads, and what else its result rests on."""

import importlib.metadata
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from recsys_core.artifacts import content_hash


def versions(libraries: Collection[str]) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in libraries}


def bound_inputs(
    build: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The step's inputs by name, defaults applied, so that the key does not depend on the call."""
    bound = inspect.signature(build).bind(None, *args, **kwargs)
    bound.apply_defaults()
    return dict(list(bound.arguments.items())[1:])


def content_key(
    name: str, version: str, inputs: Mapping[str, Any], rests_on: Mapping[str, Any]
) -> str:
    """Content key of a step: name and version, parameters, inputs' contents, what it rests on."""
    return content_hash(
        {"step": name, "version": version, "inputs": dict(inputs), "rests_on": dict(rests_on)}
    )


def without(inputs: Mapping[str, Any], hints: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if name not in hints}
