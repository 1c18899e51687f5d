"""`--help` and the check of parameter names, from the fields of a configuration.

`--help` shows the fields that people set, `--help-all` every one; both with choices, bounds and
defaults. Nothing here imports Prefect.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from recsys_core.errors import ConfigError

OFTEN_SET: Final = (
    "data.source", "data.rating_min", "data.rating_max", "data.positive", "data.negative",
    "split.kind", "split.fold", "llm.model", "llm.api_base", "llm.max_dollars", "llm.max_in_flight",
    "graph.preset", "graph.device", "graph.max_epochs", "rerank.strategy", "rerank.candidates",
    "fusion.policy", "evaluation.cutoffs", "methods", "folds", "cold_seeds", "paper_folder",
    "at_once", "refit", "dry_run", "seed", "artifact_root", "runs_root", "run_name", "config",
)  # fmt: skip
"""Parameters of the short `--help`; the rest are for `--help-all`."""
CONFIG_HELP: Final = "YAML file of these parameters; what the command line says wins."
_WORDS: Final = {int: "INT", float: "NUMBER", str: "TEXT", bool: "yes or no"}
_SIGNS: Final[dict[type, tuple[str, str]]] = {
    Ge: ("at least", "ge"), Gt: ("above", "gt"), Le: ("at most", "le"), Lt: ("below", "lt"),
}  # fmt: skip
_WIDTH: Final = 96


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of the command line.

    Attributes:
        name: dotted, without dashes.
        kind: what a value looks like.
        help: its docstring, its bounds and its default.
        flag: whether it is written without a value.
    """

    name: str
    kind: str
    help: str
    flag: bool


def parameters(kind: type[BaseModel], prefix: str = "") -> Iterator[Parameter]:
    """Every parameter of a configuration, sections unfolded, in the order of the fields."""
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from parameters(inner, f"{prefix}{name}.")
        else:
            yield _parameter(f"{prefix}{name}", field)
    if not prefix:
        yield Parameter(name="config", kind="FILE", help=CONFIG_HELP, flag=False)


def help_text(program: str, description: str, kind: type[BaseModel], *, everything: bool) -> str:
    """The text of `--help`, or of `--help-all`."""
    every = list(parameters(kind))
    shown = [one for one in every if everything or one.name in OFTEN_SET]
    lines = [f"usage: {program} [--config FILE] [--section.field VALUE] ...", "", description, ""]
    lines.append("Every parameter:" if everything else "The parameters that people set:")
    for one in shown:
        written = f"--{one.name} | --no-{one.name}" if one.flag else f"--{one.name} {one.kind}"
        lines += textwrap.wrap(
            written, _WIDTH, initial_indent="  ", subsequent_indent="      ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        lines += textwrap.wrap(one.help, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    if not everything:
        rest = len(every) - len(shown)
        lines += ["", f"{rest} more with --help-all; --version prints the version."]
    return "\n".join(lines)


def refuse_unknown(argv: Sequence[str], kind: type[BaseModel]) -> None:
    """Refuse a parameter that there is not, with the nearest name.

    Raises:
        ConfigError: one of `argv` is no parameter.
    """
    known = {one.name: one for one in parameters(kind)}
    flags = {f"no-{name}" for name, one in known.items() if one.flag}
    for argument in argv:
        name = argument.partition("=")[0].removeprefix("--")
        if not argument.startswith("--") or name in known or name in flags:
            continue
        near = get_close_matches(name, [*known, *flags], 1, cutoff=0.5)
        hint = f"did you mean --{near[0]}?" if near else "there is none like it."
        raise ConfigError(f"--{name} is no parameter: {hint} (--help-all shows every one)")


def _parameter(name: str, field: FieldInfo) -> Parameter:
    kind, bounds = _described(field.annotation, field.metadata)
    said = [" ".join((field.description or "").split())]
    if said[0] and not said[0].endswith("."):
        said[0] += "."
    if bounds:
        said.append(f"{bounds[0].upper()}{bounds[1:]}.")
    default = field.get_default(call_default_factory=True, validated_data={})
    written = default is not PydanticUndefined and default not in (None, "", ())
    if written and "Default:" not in said[0]:
        said.append(f"Default: {_written(default)}.")
    text = " ".join(part for part in said if part)
    return Parameter(name=name, kind=kind, help=text, flag=field.annotation is bool)


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        text = ",".join(map(str, value))
        return text if len(text) <= 60 else f"all {len(value)}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _described(annotation: Any, metadata: Sequence[Any] = ()) -> tuple[str, str]:
    """What a value looks like, and its bounds in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    bounds = _bounds(metadata)
    if origin is Annotated:
        kind, below = _described(inner[0], inner[1:])
        return kind, bounds or below
    if origin in (Union, UnionType):
        kinds = [_described(one) for one in inner if one is not NoneType]
        return " or ".join(kind for kind, _ in kinds), bounds or kinds[0][1]
    if origin is Literal:
        return "{" + ",".join(map(str, inner)) + "}", bounds
    if origin in (tuple, list):
        kind, below = _described(inner[0])
        return f"{kind},...", bounds or below
    return _WORDS.get(annotation, "VALUE"), bounds


def _bounds(metadata: Sequence[Any]) -> str:
    flat = [one for item in metadata for one in getattr(item, "metadata", [item])]
    ends = [
        f"{word} {getattr(one, name):g}"
        for one in flat
        for sign, (word, name) in _SIGNS.items()
        if isinstance(one, sign)
    ]
    if any(isinstance(one, MinLen) and one.min_length for one in flat):
        ends.append("not empty")
    return ", ".join(ends)
