"""Label lists as people have them: lists, objects with a name, and the texts of both.

    ["Action", "Drama"]                      a list
    [{"id": 28, "name": "Action"}]           a list of objects
    Action|Drama   Action, Drama   Action;Drama   ['Action', 'Drama']   [{'id': 28, 'name': ...}]

Words for "none" (`(no genres listed)`, `unknown`) are no labels.
"""

import json
import re
from typing import Any, Final

import polars as pl

_STRINGS: Final = pl.List(pl.String)
_SEPARATORS: Final = ("|", ";", ",")
"""The first one that the column holds divides its texts."""
NO_LABEL: Final = frozenset({
    "", "(no genres listed)", "no genres listed", "unknown", "none", "n/a", "na", "nan", "null",
    "\\n", "[]", "{}", "undefined",
})  # fmt: skip
_NAMES: Final = ("name", "label", "title", "value", "genre", "tag", "description")
"""Fields of an object that hold its label, the likeliest first."""
_QUOTED: Final = r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\""""
_STRING: Final = re.compile(_QUOTED)
_FIELD: Final = re.compile(rf"""['"](?:{"|".join(_NAMES)})['"]\s*:\s*(?:{_QUOTED})""")

_VALUE: Final = re.compile(rf":\s*(?:{_QUOTED})")
"""A value of an object without such a field: `{'28': 'Action'}`."""


def label_lists(column: pl.Series) -> pl.Series | None:
    """The column as lists of strings, words for "none" left out; None for another kind of value."""
    dtype = column.dtype
    found: pl.Series | None
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        found = _from_texts(column.cast(pl.String))
    elif isinstance(dtype, pl.List | pl.Array):
        found = _from_lists(column, dtype.inner)
    else:
        found = column.cast(_STRINGS) if dtype == pl.Null else None
    if found is None:
        return None
    word = pl.element().str.strip_chars().str.to_lowercase()
    kept = pl.col(column.name).list.eval(pl.element().filter(~word.is_in(sorted(NO_LABEL))))
    return found.alias(column.name).to_frame().select(kept).to_series()


def _from_lists(column: pl.Series, inner: Any) -> pl.Series | None:
    if isinstance(inner, pl.Struct):
        fields = {field.name.casefold(): field.name for field in inner.fields}
        name = next((fields[one] for one in _NAMES if one in fields), None)
        if name is None:
            return None
        objects = column.cast(pl.List(inner))
        return objects.list.eval(pl.element().struct.field(name).cast(pl.String))
    if inner in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return column.cast(_STRINGS)
    if isinstance(inner, pl.List):  # lists of paths, as in Amazon's categories
        return column.list.eval(pl.element().list.explode()).cast(_STRINGS, strict=False)
    return None


def _from_texts(texts: pl.Series) -> pl.Series:
    distinct = texts.drop_nulls().unique().to_list()
    plain = [text for text in distinct if not _is_printed(text)]
    separator = next((one for one in _SEPARATORS if any(one in text for text in plain)), None)
    lists = [_labels(text, separator) for text in distinct]
    table = pl.DataFrame({texts.name: distinct, "_labels": pl.Series(lists, dtype=_STRINGS)})
    joined = texts.to_frame().join(table, on=texts.name, how="left", maintain_order="left")
    return joined["_labels"].alias(texts.name)


def _is_printed(text: str) -> bool:
    """Whether this is a list or an object as programs print them."""
    bare = text.strip()
    return bare[:1] + bare[-1:] in ("[]", "{}", "()") and "(no genres" not in bare


def _labels(text: str, separator: str | None) -> list[str]:
    if not _is_printed(text):
        return [text] if separator is None else text.split(separator)
    try:
        return _named(json.loads(text))
    except ValueError:
        pass
    if objects := _FIELD.findall(text) or (text.startswith("{") and _VALUE.findall(text)):
        return [_unescaped(one or two) for one, two in objects]
    if quoted := _STRING.findall(text):
        return [_unescaped(one or two) for one, two in quoted]
    return [part.strip() for part in text.strip()[1:-1].split(",")]


def _named(value: Any) -> list[str]:
    if isinstance(value, list):
        return [label for one in value for label in _named(one)]
    if isinstance(value, dict):
        fields = {str(key).casefold(): one for key, one in value.items()}
        found = next((fields[name] for name in _NAMES if name in fields), None)
        if found is not None:
            return _named(found)
        # {"28": "Action"}: the values are the labels.
        return [label for one in value.values() if isinstance(one, str) for label in _named(one)]
    return [] if value is None else [str(value)]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
