"""What people fill in, in the place of a whole configuration: some fields, a file, the rest.

A form holds few fields of a configuration at their own places (`{"data": {"source": ...}}`), and
beside them `file`, a YAML file of further ones, and `advanced`, a mapping of further ones. What is
not filled in is not there, so that nothing of it stands against a preset or a file.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from recsys_core.config.loading import merged, read_parameters
from recsys_core.errors import ConfigError

FILE: Final = "file"
ADVANCED: Final = "advanced"


def unfolded(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a form stands for: those of `file`, under `advanced` and all others.

    Raises:
        ConfigError: the file cannot be read, or a field stands both under `advanced` and in its
            own place, with another value.
    """
    own = {name: value for name, value in given.items() if name not in (FILE, ADVANCED)}
    advanced = given.get(ADVANCED) or {}
    if not isinstance(advanced, Mapping):
        raise ConfigError(
            f"`{ADVANCED}` is {advanced!r}.",
            expected='a mapping such as {"llm": {"temperature": 0}}.',
        )
    _refuse_two_values(own, advanced)
    return merged(read_parameters(given.get(FILE) or None), merged(advanced, own))


def _refuse_two_values(own: Mapping[str, Any], advanced: Mapping[str, Any]) -> None:
    there = dict(_leaves(advanced))
    for name, value in _leaves(own):
        if name in there and there[name] != value:
            raise ConfigError(
                f"`{name}` is {value!r}, and {there[name]!r} under `{ADVANCED}`.",
                expected="each parameter once.", fix=f"leave it out under `{ADVANCED}`.",
            )  # fmt: skip


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
