"""The parameter `config` of a flow, and what Prefect's form shows of it.

The form is drawn from a flow's JSON schema. A whole configuration would make it more than a hundred
fields, each sent at its default, against which no preset could prevail. So the schema shows the few
fields that people set (without defaults: what is left empty is not sent), a file and a mapping for
all others; whatever is sent is checked against the schema of the whole configuration.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from flows.command_line.help import parameters
from recsys_core.config.form import ADVANCED, FILE, unfolded

_DATA: Final = ("data.source", "data.users")
_MODEL: Final = ("llm.model", "llm.max_dollars")
RUN: Final = (
    "preset", *_DATA, *_MODEL, "rerank.strategy", "refit", "dry_run", "seed", "run_name",
)  # fmt: skip
"""The front of a whole run's form; the others are those of other flows."""
INGEST: Final = (*_DATA, "split.kind", "split.fold", "seed")
PROFILES: Final = (*_DATA, "split.kind", "split.fold", *_MODEL, "seed")
TRAIN: Final = ("preset", *_DATA, *_MODEL, "graph.device", "graph.max_epochs", "seed")
LISTS: Final = ("preset", *_DATA, *_MODEL, "rerank.strategy", "fusion.policy", "seed")
WATCH: Final = ("preset", *_DATA, *_MODEL, "rerank.strategy", "refit", "seed")
RECOMMEND: Final = (
    "run", "users", "interactions", "user_attributes", "items", "exclude", "k", *_MODEL, "run_name",
)  # fmt: skip
REPRODUCE: Final = (
    "data.source", "folds", "methods", "cold_seeds", "paper_folder", *_MODEL, "seed", "run_name",
)  # fmt: skip
_FILE_HELP: Final = (
    "YAML file of further parameters, as for `--config`: a path or URI that the worker can read."
    " What is filled in here wins over it."
)
_ADVANCED_HELP: Final = (
    'Every other parameter, as in such a file: `{"llm": {"temperature": 0}}`. `--help-all` of the'
    " command shows them all."
)


class Front:
    """Annotates a configuration with the fields that the form shows.

    Args:
        names: dotted, as on the command line, in order.
    """

    def __init__(self, *names: str) -> None:
        self.names = names

    def __get_pydantic_core_schema__(self, kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def whole(given: Any) -> Any:
            return unfolded(given) if isinstance(given, Mapping) else given

        inner = handler(kind)
        return core_schema.no_info_before_validator_function(whole, inner, metadata={"kind": kind})

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        reference = handler(schema)
        whole = handler.resolve_ref_schema(reference)
        kind: type[BaseModel] = schema["metadata"]["kind"]
        shown = front_fields(kind, self.names)
        # Prefect's form draws `properties` alone; its server checks `then`, too.
        more = {
            FILE: {"title": FILE, "type": "string", "description": _FILE_HELP},
            ADVANCED: {
                "title": ADVANCED, "type": "object", "description": _ADVANCED_HELP, "default": {},
                "if": {}, "then": dict(reference),
            },
        }  # fmt: skip
        return {
            "type": "object",
            "properties": _placed(shown | more),
            "if": {},
            "then": {**whole, "properties": {**whole["properties"], **more}},
        }


def front_fields(kind: type[BaseModel], names: tuple[str, ...]) -> dict[str, Any]:
    """JSON schemas of some fields of a configuration, sections as objects, without defaults.

    Args:
        kind: the configuration.
        names: dotted.

    Raises:
        KeyError: it has no such field.
    """
    helps = {one.name: one.help for one in parameters(kind)}
    found: dict[str, Any] = {}
    for name in names:
        *sections, leaf = name.split(".")
        below, inside = found, kind
        for section in sections:
            box = below.setdefault(section, {"title": section, "type": "object", "properties": {}})
            below, inside = box["properties"], _section(inside, section)
        shown = {"title": leaf, "description": helps[name]}
        below[leaf] = _schema(inside.model_fields[leaf]) | shown
    return found


def _section(kind: type[BaseModel], name: str) -> type[BaseModel]:
    section: Any = kind.model_fields[name].annotation
    found: type[BaseModel] = section
    return found


def _schema(field: FieldInfo) -> dict[str, Any]:
    """Of a value that is given: None is left out, as the default is."""
    bounded: Any = Annotated[field.annotation, *field.metadata, Field()]
    found = TypeAdapter(bounded).json_schema()
    choices = [one for one in found.pop("anyOf", ()) if one != {"type": "null"}]
    for one in choices[:1]:
        found |= one
    if found.get("type") == "boolean":  # a switch would send "off" where nobody touched it
        found = {"enum": [True, False]}
    return found


def _placed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The order in which the form shows them; databases lose that of keys."""
    return {
        name: one | {"position": place}
        | ({"properties": _placed(one["properties"])} if "properties" in one else {})
        for place, (name, one) in enumerate(fields.items())
    }  # fmt: skip


def unless_filled_in(default: BaseModel) -> Any:
    """A flow's default configuration, of which the form shows nothing."""
    return Field(default=default, json_schema_extra={"default": {}})
