"""Validation findings of tables, collected so that one error names them all."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from recsys_core.columns import ROW
from recsys_core.errors import DataError

_SHOWN: Final = 3
_OF_ONE: Final = {"have": "has", "repeat": "repeats", "name": "names"}


class Findings:
    """The problems of one table, and what was done to its values, in the order found.

    Attributes:
        notes: what was changed, with counts, for the run's summary.

    Args:
        place: the file, as the reader of the error knows it.
        expected: what the table should be, in one line.
    """

    def __init__(self, place: str, *, expected: str) -> None:
        self._place, self._expected = place, expected
        self._seen: list[str] = []
        self._fixes: list[str] = []
        self.notes: list[str] = []

    def add(self, seen: str, fix: str) -> None:
        """Note a problem and what to do about it."""
        self._seen.append(seen)
        if fix not in self._fixes:
            self._fixes.append(fix)

    def add_rows(
        self, frame: pl.DataFrame, bad: pl.Expr, seen: str, fix: str, *, show: Sequence[str]
    ) -> None:
        """Note the rows for which `bad` holds: how many, and the first few with their values."""
        mask = frame.select(bad.fill_null(False)).to_series()
        if not mask.any():
            return
        rows = frame.with_row_index(ROW, offset=1).filter(mask)
        shown = [_row(row, show) for row in rows.head(_SHOWN).iter_rows(named=True)]
        more = ", ..." if rows.height > _SHOWN else ""
        verb, _, rest = seen.partition(" ")
        seen = seen if rows.height > 1 else f"{_OF_ONE.get(verb, verb)} {rest}"
        self.add(f"{counted(rows.height, 'row')} {seen}: {', '.join(shown)}{more}", fix)

    def note(self, count: int, noun: str, what: str) -> None:
        """Record what was done to `count` things, unless there are none."""
        if count:
            self.notes.append(f"{counted(count, noun)} {what}")

    def raise_if_any(self) -> None:
        """Raise one DataError that names all problems and all fixes.

        Raises:
            DataError: there is at least one problem.
        """
        raise_all([self])

    def __bool__(self) -> bool:
        return bool(self._seen)


def raise_all(tables: Sequence[Findings]) -> None:
    """Raise one DataError for the problems of all tables.

    Raises:
        DataError: at least one of them has a problem.
    """
    bad = [one for one in tables if one]
    if not bad:
        return
    fixes = dict.fromkeys(fix for one in bad for fix in one._fixes)
    raise DataError(
        "\n  ".join(f"{one._place}: {'; '.join(one._seen)}." for one in bad),
        expected=" ".join(dict.fromkeys(one._expected for one in bad)),
        fix="; ".join(fixes) + ".",
    )


def counted(count: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _row(row: dict[str, object], show: Sequence[str]) -> str:
    values = ", ".join(f"{name}={_short(row[name])}" for name in show if name in row)
    return f"row {row[ROW]} ({values})"


def _short(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
