"""Casts to the contract's column types; a value that cannot be cast safely is a finding.

Each cast takes a column and returns it in the contract's type, or None after noting why not.
"""

from collections.abc import Callable

import polars as pl

from recsys_core.datasets.contract_findings import Findings
from recsys_core.datasets.text import normalised_list, normalised_or_null

_LARGEST_EXACT = 2.0**53


def as_id(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Any integer as Int64; string, categorical and enum as String."""
    if column.dtype.is_integer():
        return _tried(column, pl.Int64(), findings)
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if column.dtype == pl.Null:
        return column.cast(pl.Int64)
    _refused(column, "integer or string", "cast the ids to Int64 or String", findings)
    return None


def as_rating(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Any number as Float32."""
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return column.cast(pl.Float32)
    fix = "make the ratings numbers (a constant column if there is only the fact of interaction)"
    _refused(column, "a number", fix, findings)
    return None


def as_seconds(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Whole numbers or datetimes as Int64 Unix seconds."""
    if column.dtype in (pl.Datetime, pl.Date):
        return column.cast(pl.Datetime("ms")).dt.epoch("s")
    return _whole(column, pl.Int64(), "whole Unix seconds or a datetime", findings)


def as_year(column: pl.Series, findings: Findings) -> pl.Series | None:
    """Whole numbers as Int32."""
    return _whole(column, pl.Int32(), "a whole number", findings)


def as_text(column: pl.Series, findings: Findings) -> pl.Series | None:
    """String, normalised, with null where nothing is left."""
    if column.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return _apply(column.cast(pl.String), normalised_or_null)
    _refused(column, "a string", "cast the column to String", findings)
    return None


def as_texts(column: pl.Series, findings: Findings) -> pl.Series | None:
    """List of strings, each normalised; null as the empty list."""
    dtype = column.dtype
    inner = dtype.inner if isinstance(dtype, pl.List | pl.Array) else None
    if dtype == pl.Null or inner in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return _apply(column.cast(pl.List(pl.String)), normalised_list)
    fix = f"make {column.name!r} a list, for example pl.col({column.name!r}).str.split('|')"
    _refused(column, "a list of strings", fix, findings)
    return None


def _whole(
    column: pl.Series, dtype: pl.DataType, wanted: str, findings: Findings
) -> pl.Series | None:
    fix = f"make {column.name!r} {wanted}, null where unknown"
    if column.dtype.is_float():
        # pandas turns whole numbers with gaps into floats with NaN.
        column = column.fill_nan(None)
        known = column.drop_nulls()
        if not ((known == known.floor()) & (known.abs() <= _LARGEST_EXACT)).all():
            findings.add(f"column {column.name!r} holds numbers that are not whole", fix)
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
