"""YAML within bounds: a few lines of aliases can stand for billions of values."""

from typing import Any, Final

import yaml

MOST_VALUES: Final = 20_000
MOST_CHARACTERS: Final = 2_000_000


def read_yaml(text: str) -> Any:
    """The value of a YAML document.

    Raises:
        ValueError: it is no YAML, refers to itself, is nested too deeply, or stands for more than
            `MOST_VALUES` values.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has more than {MOST_CHARACTERS:,} characters")
    try:
        loaded = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error
    _check_size(loaded)
    return loaded


def _check_size(loaded: Any) -> None:
    left, seen = [loaded], 0
    while left:
        seen += 1
        if seen > MOST_VALUES:
            raise ValueError(f"it holds more than {MOST_VALUES:,} values, aliases counted out")
        one = left.pop()
        left += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
