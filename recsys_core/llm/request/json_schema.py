"""The JSON schema of an answer, in the dialects that endpoints take.

Endpoints differ and their capability lists are unreliable, so the richest dialect is tried first
and an endpoint that rejects it (400) gets the next: tailored to the question (on demand, see
`tailored`), with all bounds (grammar-based servers need them, else small models never end),
strict without bounds (some hosted models reject `maxLength`), and finally none at all, the schema
being asked for in the prompt.
"""

from enum import IntEnum
from functools import cache
from typing import Any, Final

from pydantic import BaseModel

from recsys_core.llm.providers.base import Choices
from recsys_core.llm.request.per_request_schema import MARKS, tailored

_BOUNDS: Final = frozenset({
    "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems", "minProperties",
    "maxProperties",
})  # fmt: skip
_NOISE: Final = frozenset({"title", "default", "examples"}) | MARKS


class Dialect(IntEnum):
    """What an endpoint takes as `response_format`, from the richest to nothing."""

    TAILORED = 0
    BOUNDED = 1
    UNBOUNDED = 2
    PROMPT = 3


@cache
def schema_of(answer: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema that the prompt shows and that the cache key holds."""
    schema: dict[str, Any] = _strict(answer.model_json_schema(), _NOISE)
    return schema


def response_format(
    answer: type[BaseModel], dialect: Dialect, choices: Choices | None = None
) -> dict[str, Any] | None:
    """The `response_format` of a call in this dialect; None where the prompt asks instead.

    Args:
        answer: what is to be answered.
        dialect: what the endpoint takes.
        choices: of the question, for the tailored dialect.
    """
    if dialect is Dialect.TAILORED:
        return _format(answer, _strict(tailored(answer, choices or {}), _NOISE))
    return _general_format(answer, dialect)


@cache
def _general_format(answer: type[BaseModel], dialect: Dialect) -> dict[str, Any] | None:
    if dialect is Dialect.PROMPT:
        return None
    dropped = _NOISE | _BOUNDS if dialect is Dialect.UNBOUNDED else _NOISE
    return _format(answer, _strict(answer.model_json_schema(), dropped))


def _format(answer: type[BaseModel], schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": answer.__name__, "strict": True, "schema": schema},
    }


def _strict(node: Any, dropped: frozenset[str], *, names: bool = False) -> Any:
    """Strict mode wants every property required and no other property allowed.

    `names` tells that the keys of `node` are property names, which are never dropped.
    """
    if isinstance(node, list):
        return [_strict(one, dropped) for one in node]
    if not isinstance(node, dict):
        return node
    made = {
        key: _strict(value, dropped, names=not names and key in {"properties", "$defs"})
        for key, value in node.items()
        if names or key not in dropped
    }
    if not names and "properties" in made:
        made |= {"required": list(made["properties"]), "additionalProperties": False}
    return made


def complains_about_format(message: str) -> bool:
    """Whether a rejection (400, 422) is about the `response_format` that was sent."""
    text = message.lower()
    words = ("response_format", "json_schema", "schema", "guided", "grammar", "structured output")
    return any(word in text for word in words)
