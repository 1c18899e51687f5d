"""The JSON schema of an answer (guided decoding), in the dialects that endpoints accept.

Endpoints differ and their capability lists are unreliable, so the richest dialect is tried first,
and an endpoint that rejects it (400) gets the next: a schema per request (where
`llm.per_request_schemas` is set), all bounds (grammar-based servers need them, else small models
never end), strict without bounds (some hosted models reject `maxLength`), and finally none, the
schema then being written into the prompt.

A per-request schema allows only what this request asked about. Answers mark their parts (`choice`,
`each`), and purposes name the allowed values for given variables (`Purpose.choices`). A server
that decodes by the schema then cannot let a small model invent an id, omit one or never end.
"""

from enum import IntEnum
from functools import cache
from typing import Any, Final

from pydantic import BaseModel

from recsys_core.llm.providers.base import Choices

_BOUNDS: Final = frozenset({
    "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems", "minProperties",
    "maxProperties",
})  # fmt: skip
_CHOICE: Final = "x-choice"
_EACH: Final = "x-each"
_NOT_SENT: Final = frozenset({"title", "default", "examples", _CHOICE, _EACH})


class Dialect(IntEnum):
    """What an endpoint accepts as `response_format`, from the richest to nothing."""

    PER_REQUEST = 0
    BOUNDED = 1
    UNBOUNDED = 2
    PROMPT = 3


def choice(name: str) -> dict[str, Any]:
    """Marks a string that must be one of the choices `name` (pydantic's `json_schema_extra`).

    Inside an entry of a list marked by `each`, choices `name:ENTRY` come first.
    """
    return {_CHOICE: name}


def each(name: str) -> dict[str, Any]:
    """Marks a list with one entry for each of the choices `name`.

    Entries that are objects come in the order of the choices, each held to its own; entries that
    are strings, in any order: a schema cannot forbid that one is named twice.
    """
    return {_EACH: name}


@cache
def schema_of(answer: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema that the prompt shows and that the cache key holds."""
    schema: dict[str, Any] = _strict(answer.model_json_schema(), _NOT_SENT)
    return schema


def response_format(
    answer: type[BaseModel], dialect: Dialect, choices: Choices | None = None
) -> dict[str, Any] | None:
    """The `response_format` of a call in this dialect; None where the prompt asks instead.

    Args:
        answer: what is to be answered.
        dialect: what the endpoint accepts.
        choices: allowed values of this request, for the per-request dialect.
    """
    if dialect is Dialect.PER_REQUEST:
        return _format(answer, _strict(per_request_schema(answer, choices or {}), _NOT_SENT))
    return _general_format(answer, dialect)


@cache
def _general_format(answer: type[BaseModel], dialect: Dialect) -> dict[str, Any] | None:
    if dialect is Dialect.PROMPT:
        return None
    dropped = _NOT_SENT | _BOUNDS if dialect is Dialect.UNBOUNDED else _NOT_SENT
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


@cache
def _schema(answer: type[BaseModel]) -> dict[str, Any]:
    return answer.model_json_schema()


def per_request_schema(answer: type[BaseModel], choices: Choices) -> dict[str, Any]:
    """The schema with its marked parts restricted to `choices`, references inlined."""
    schema = _schema(answer)
    node = {key: value for key, value in schema.items() if key != "$defs"}
    made: dict[str, Any] = _restricted(node, schema.get("$defs", {}), choices, None)
    return made


def _restricted(node: Any, defs: dict[str, Any], choices: Choices, entry: str | None) -> Any:
    if isinstance(node, list):
        return [_restricted(one, defs, choices, entry) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = defs[node["$ref"].rpartition("/")[2]]
    if node.get(_EACH) in choices:
        return _list_of_each(node, defs, choices)
    if found := _choices(node, choices, entry):
        return {"type": "string", "enum": list(found)}
    if _choices(node.get("items", {}), choices, entry) == ():
        return {"type": "array", "items": {"type": "string"}, "maxItems": 0}
    return {key: _restricted(value, defs, choices, entry) for key, value in node.items()}


def _list_of_each(node: dict[str, Any], defs: dict[str, Any], choices: Choices) -> dict[str, Any]:
    name = node[_EACH]
    count = {"type": "array", "minItems": len(choices[name]), "maxItems": len(choices[name])}
    if "$ref" not in node["items"]:
        return {**count, "items": _restricted(node["items"], defs, choices, None)}
    entries = [
        _restricted(node["items"], defs, {**choices, name: (one,)}, one) for one in choices[name]
    ]
    return {**count, "prefixItems": entries}


def _choices(node: Any, choices: Choices, entry: str | None) -> tuple[str, ...] | None:
    """What a marked string may be; None where it has no mark, or its mark no choices."""
    name = node.get(_CHOICE) if isinstance(node, dict) else None
    found = choices.get(f"{name}:{entry}", choices.get(name)) if name else None
    return None if found is None else tuple(found)


def complains_about_format(message: str) -> bool:
    """Whether a rejection (400, 422) is about the `response_format` that was sent."""
    text = message.lower()
    words = ("response_format", "json_schema", "schema", "guided", "grammar", "structured output")
    return any(word in text for word in words)
