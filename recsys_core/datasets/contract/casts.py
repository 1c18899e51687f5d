"""Casts to the contract's column types; a value that cannot be cast safely is a finding.

Each cast takes a column and returns it in the contract's type, or None after noting why not.
"""

from collections.abc import Callable
from typing import Final

import polars as pl

from recsys_core.columns import PART, TITLE, YEAR
from recsys_core.datasets.contract.findings import Findings
from recsys_core.datasets.contract.label_lists import label_lists
from recsys_core.datasets.text import normalised_list, normalised_or_null

_LARGEST_EXACT: Final = 2.0**53
_TEXTS: Final = (pl.String, pl.Categorical, pl.Enum)
_NO_VALUE: Final = ("", "nan", "null", "none", "na", "n/a", "\\n", "-")
"""Texts that stand for no number, no time and no year, in lower case."""
_CLOCKS: Final = ((1e11, 1, "seconds"), (1e14, 10**3, "milliseconds"),
                  (1e17, 10**6, "microseconds"), (float("inf"), 10**9, "nanoseconds"))  # fmt: skip
"""Times below each bound are counted in this unit: 1e11 seconds are the year 5138."""
_DATES: Final = (
    "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d",
    "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%d.%m.%Y", "%m %d, %Y", "%d-%b-%Y",
    "%d %b %Y", "%Y%m%d",
)  # fmt: skip
PARTS: Final = {
    "train": ("train", "training", "tr"),
    "valid": ("valid", "validation", "val", "dev", "vad"),
    "test": ("test", "testing", "te"),
}
"""The parts of a given split, and the words that stand for them."""
_YEARS: Final = (1000, 2999)


def as_id(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Any integer as Int64, whole floats, too; string, categorical and enum as String."""
    if column.dtype.is_float():
        return _whole(column, pl.Int64(), "integer or string", findings,
                      fix="cast the ids to Int64 or String")  # fmt: skip
    if column.dtype.is_integer():
        return _tried(column, pl.Int64(), findings)
    if column.dtype in _TEXTS:
        return column.cast(pl.String)
    if column.dtype == pl.Null:
        return column.cast(pl.Int64)
    _refused(column, "integer or string", "cast the ids to Int64 or String", findings)
    return None


def numeric_ids(column: pl.Series) -> pl.Series:
    """Ids of a text file as Int64 where each is written as a plain integer (`7`, not `007`)."""
    if column.dtype != pl.String:
        return column
    numbers = column.cast(pl.Int64, strict=False)
    plain = numbers.null_count() == column.null_count() and (
        (numbers.cast(pl.String) == column).all()
    )
    return numbers if plain and column.len() > column.null_count() else column


def as_rating(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Any number as Float32, texts of numbers, too; true and false as 1 and 0."""
    if column.dtype in _TEXTS:
        column = _numbers(column)
        if column.dtype in _TEXTS:
            column = _flags(column)
        if column.dtype in _TEXTS:
            _refused(column, "a number", "make the ratings numbers", findings)
            return None
    if column.dtype.is_numeric() or column.dtype in (pl.Null, pl.Boolean):
        return column.cast(pl.Float32)
    fix = "make the ratings numbers, or leave the column out where there are only interactions"
    _refused(column, "a number", fix, findings)
    return None


def as_seconds(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Datetimes, dates, their texts, and numbers since 1970 in any unit, as Int64 seconds.

    The unit of numbers is told by their size: below 1e11 seconds, below 1e14 milliseconds, below
    1e17 microseconds, else nanoseconds.
    """
    if column.dtype in _TEXTS:
        numbers = _numbers(column)
        if numbers.dtype in _TEXTS:
            return _dates(numbers, findings)
        column = numbers
    if column.dtype in (pl.Datetime, pl.Date):
        return column.cast(pl.Datetime("ms")).dt.epoch("s")
    if column.dtype.is_float():  # fractions of a second
        column = column.floor()
    found = _whole(column, pl.Int64(), "whole Unix seconds or a datetime", findings)
    if found is None:
        return None
    largest = found.abs().max()
    _, divisor, unit = next(clock for clock in _CLOCKS if float(str(largest or 0)) < clock[0])
    if divisor > 1:
        findings.note(found.len() - found.null_count(), "time", f"read as {unit} since 1970")
    return found if divisor == 1 else found // divisor


def as_year(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Years as Int32 from numbers, texts and dates; 0 and what is no year of 1000-2999 as null."""
    if column.dtype in (pl.Datetime, pl.Date):
        return column.dt.year().cast(pl.Int32)
    if column.dtype in _TEXTS:
        texts = column.cast(pl.String)
        numbers = texts.str.extract(r"^\s*(-?\d{1,6})(?:\.0+)?\s*$")
        # A date: the four digits in it that stand by themselves.
        found = numbers.fill_null(texts.str.extract(r"(?:^|\D)(\d{4})(?:\D|$)"))
        unread = found.is_null() & ~_empty(texts)
        findings.note(int(unread.sum()), "year", "could not be read and is unknown")
        column = found.cast(pl.Int64, strict=False)
    whole = _whole(column, pl.Int64(), "a whole number", findings)
    if whole is None:
        return None
    inside = whole.is_between(*_YEARS)
    findings.note(
        int((~inside & whole.is_not_null()).sum()),
        YEAR, f"outside {_YEARS[0]} to {_YEARS[1]} (0, for example) taken as unknown",
    )  # fmt: skip
    return whole.set(~inside, None).cast(pl.Int32)


def as_text(column: pl.Series, findings: Findings) -> pl.Series | None:
    """String, normalised, with null where nothing is left; a list of texts joined."""
    if isinstance(column.dtype, pl.List | pl.Array) and column.dtype.inner == pl.String:
        column = column.cast(pl.List(pl.String)).list.join(" ", ignore_nulls=True)
    if column.dtype in (*_TEXTS, pl.Null):
        return _apply(column.cast(pl.String), normalised_or_null)
    _refused(column, "a string", "cast the column to String", findings)
    return None


def as_texts(column: pl.Series, findings: Findings) -> pl.Series | None:
    """List of strings, each normalised; null and words for "none" as the empty list.

    Takes lists, lists of objects with a name, and texts of them (see `label_lists`).
    """
    found = label_lists(column)
    if found is None:
        fix = f"make {column.name!r} a list of strings, or a text such as A|B"
        _refused(column, "a list of strings", fix, findings)
        return None
    return _apply(found, normalised_list)


def as_flag(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Boolean from booleans, 0 and 1, and words for yes and no; null as true."""
    if column.dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Boolean).fill_null(True)
    words = column.cast(pl.String).str.strip_chars().str.to_lowercase().str.strip_suffix(".0")
    known = {"true": True, "1": True, "yes": True, "y": True, "t": True,
             "false": False, "0": False, "no": False, "n": False, "f": False}  # fmt: skip
    found = words.replace_strict(known, default=None, return_dtype=pl.Boolean)
    if (found.is_null() & ~_empty(words)).any():
        _refused(column, "true or false", "write true or false (or 1 and 0)", findings)
        return None
    return found.fill_null(True).alias(column.name)


def as_attribute(column: pl.Series) -> pl.Series:
    """A user attribute from a text file: numbers of texts of them; codes such as `00123` stay."""
    if column.dtype != pl.String:
        return column
    texts = column.str.strip_chars()
    texts = texts.set(_empty(texts), None)
    codes = texts.str.contains(r"^0\d").any()
    return texts if codes else _numbers(texts)


def as_number(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Any number, and texts of numbers, as Float64."""
    column = _numbers(column) if column.dtype in _TEXTS else column
    if column.dtype.is_numeric() or column.dtype in (pl.Null, pl.Boolean):
        return column.cast(pl.Float64).fill_nan(None)
    _refused(column, "a number", f"give {column.name!r} another role", findings)
    return None


def as_date(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Datetimes, dates, their texts and Unix times as Date."""
    seconds = as_seconds(column, findings)
    if seconds is None:
        return None
    return pl.from_epoch(seconds, time_unit="s").dt.date().alias(column.name)


def as_part(column: pl.Series, findings: Findings) -> pl.Series | None:
    """`train`, `valid` or `test`, from the usual words for them."""
    words = column.cast(pl.String).str.strip_chars().str.to_lowercase()
    known = {word: part for part, all_ in PARTS.items() for word in all_}
    found = words.replace_strict(known, default=None, return_dtype=pl.String)
    wrong = words.filter(found.is_null()).unique().sort()
    if wrong.len():
        findings.add(
            f"column {column.name!r} holds {', '.join(map(repr, wrong.head(3).to_list()))}",
            "write train, valid or test in every row, or leave the column out",
        )
        return None
    return found.alias(PART)


def as_position(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Whole numbers as Int64."""
    column = _numbers(column) if column.dtype in _TEXTS else column
    return _whole(column, pl.Int64(), "a whole number", findings)


def as_title(column: pl.Series, findings: Findings) -> pl.Series | None:
    """`as_text`, for titles: numbers are titles, too (`1984`)."""
    if column.dtype.is_integer():
        column = column.cast(pl.String)
    return as_text(column.alias(TITLE), findings)


def _dates(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Texts of dates as seconds, in the one format that reads them all."""
    texts = column.cast(pl.String).str.strip_chars()
    texts = texts.set(_empty(texts), None)
    sample = texts.drop_nulls().head(1000)
    for form in _DATES:
        if sample.str.to_datetime(form, strict=False, time_unit="us").null_count():
            continue
        found = texts.str.to_datetime(form, strict=False, time_unit="us")
        if found.null_count() == texts.null_count():
            findings.note(found.len() - found.null_count(), "time", f"read as {form}")
            return found.dt.epoch("s")
    fix = f"make {column.name!r} whole Unix seconds or a datetime, null where unknown"
    _refused(column, "whole Unix seconds or a datetime", fix, findings)
    return None


def _numbers(column: pl.Series) -> pl.Series:
    """Numbers of texts; the texts as they are where one of them is no number."""
    texts = column.cast(pl.String)
    numbers = texts.cast(pl.Int64, strict=False)
    if numbers.null_count() == texts.null_count():
        return numbers
    texts = texts.str.strip_chars()
    clean = texts.set(_empty(texts), None)
    # As in "3,5": a comma that is followed by three digits might part thousands.
    german = clean.str.replace(r"^(-?\d+),(\d{1,2}|\d{4,})$", "$1.$2")
    for kind, given in ((pl.Int64, clean), (pl.Float64, clean), (pl.Float64, german)):
        numbers = given.cast(kind, strict=False)
        if numbers.null_count() == clean.null_count():
            return numbers
    return texts


def _flags(column: pl.Series) -> pl.Series:
    """Texts of true and false as 1 and 0; the texts as they are where one says something else."""
    words = column.str.strip_chars().str.to_lowercase()
    found = words.replace_strict({"true": 1, "false": 0}, default=None, return_dtype=pl.Int64)
    return found if found.null_count() == column.null_count() else column


def _empty(texts: pl.Series) -> pl.Series:
    words = texts.str.strip_chars().str.to_lowercase()
    return (texts.is_null() | words.is_in(_NO_VALUE)).fill_null(True)


def _whole(
    column: pl.Series, dtype: pl.DataType, wanted: str, findings: Findings, *, fix: str = ""
) -> pl.Series | None:
    fix = fix or f"make {column.name!r} {wanted}, null where unknown"
    if column.dtype.is_float():
        # pandas turns whole numbers with gaps into floats with NaN.
        column = column.fill_nan(None)
        known = column.drop_nulls()
        if not ((known == known.floor()) & (known.abs() <= _LARGEST_EXACT)).all():
            findings.add(
                f"column {column.name!r} has type {column.dtype} and holds numbers that are not"
                " whole", fix,
            )  # fmt: skip
            return None
        column = column.cast(pl.Int64)
    if column.dtype.is_integer() or column.dtype == pl.Null:
        return _tried(column, dtype, findings)
    _refused(column, wanted, fix, findings)
    return None


def _tried(column: pl.Series, dtype: pl.DataType, findings: Findings) -> pl.Series | None:
    try:
        return column.cast(dtype)
    except pl.exceptions.InvalidOperationError:
        seen = f"column {column.name!r} holds numbers that do not fit {dtype}"
        findings.add(seen, f"use smaller numbers in {column.name!r}, or strings for ids")
        return None


def _refused(column: pl.Series, wanted: str, fix: str, findings: Findings) -> None:
    findings.add(f"column {column.name!r} has type {column.dtype}, not {wanted}", fix)


def _apply(column: pl.Series, change: Callable[[pl.Expr], pl.Expr]) -> pl.Series:
    return column.to_frame().select(change(pl.col(column.name))).to_series()
