"""Schemas held to one question: only what was asked about can be answered.

Answers mark their parts (`choice`, `each`), purposes say what these may be for given variables
(`Purpose.choices`). A server that decodes by the schema then cannot let a small model invent an
id, forget one or go on without end.
"""

from functools import cache
from typing import Any, Final

from pydantic import BaseModel

from recsys_core.llm.providers.base import Choices

_CHOICE: Final = "x-choice"
_EACH: Final = "x-each"
MARKS: Final = frozenset({_CHOICE, _EACH})
"""Keys that are never sent."""


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
def _schema(answer: type[BaseModel]) -> dict[str, Any]:
    return answer.model_json_schema()


def tailored(answer: type[BaseModel], choices: Choices) -> dict[str, Any]:
    """The schema with its marked parts held to the choices of one question, references inlined."""
    schema = _schema(answer)
    node = {key: value for key, value in schema.items() if key != "$defs"}
    made: dict[str, Any] = _held(node, schema.get("$defs", {}), choices, None)
    return made


def _held(node: Any, defs: dict[str, Any], choices: Choices, entry: str | None) -> Any:
    if isinstance(node, list):
        return [_held(one, defs, choices, entry) for one in node]
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
    return {key: _held(value, defs, choices, entry) for key, value in node.items()}


def _list_of_each(node: dict[str, Any], defs: dict[str, Any], choices: Choices) -> dict[str, Any]:
    name = node[_EACH]
    count = {"type": "array", "minItems": len(choices[name]), "maxItems": len(choices[name])}
    if "$ref" not in node["items"]:
        return {**count, "items": _held(node["items"], defs, choices, None)}
    entries = [_held(node["items"], defs, {**choices, name: (one,)}, one) for one in choices[name]]
    return {**count, "prefixItems": entries}


def _choices(node: Any, choices: Choices, entry: str | None) -> tuple[str, ...] | None:
    """What a marked string may be; None where it has no mark, or its mark no choices."""
    name = node.get(_CHOICE) if isinstance(node, dict) else None
    found = choices.get(f"{name}:{entry}", choices.get(name)) if name else None
    return None if found is None else tuple(found)
