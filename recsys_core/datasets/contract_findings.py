"""Validation findings of a table, collected so that one error names them all."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from recsys_core.columns import ROW
from recsys_core.errors import DataError

_SHOWN: Final = 3


class Findings:
    """The problems of one table, in the order in which they were found.

    Args:
        place: the file, as the reader of the error knows it.
        expected: what the table should be, in one line.
    """

    def __init__(self, place: str, *, expected: str) -> None:
        self._place, self._expected = place, expected
        self._seen: list[str] = []
        self._fixes: list[str] = []

    def add(self, seen: str, fix: str) -> None:
        """Note a problem and what to do about it."""
        self._seen.append(seen)
        if fix not in self._fixes:
            self._fixes.append(fix)

    def add_rows(
        self, frame: pl.DataFrame, bad: pl.Expr, seen: str, fix: str, *, show: Sequence[str]
    ) -> None:
        """Note the rows for which `bad` holds: how many, and the first few with their values."""
        rows = frame.with_row_index(ROW, offset=1).filter(bad)
        if rows.is_empty():
            return
        shown = [_row(row, show) for row in rows.head(_SHOWN).iter_rows(named=True)]
        more = ", ..." if rows.height > _SHOWN else ""
        count = f"{rows.height} row{'s' if rows.height > 1 else ''}"
        self.add(f"{count} {seen}: {', '.join(shown)}{more}", fix)

    def raise_if_any(self) -> None:
        """Raise one DataError that names all problems and all fixes.

        Raises:
            DataError: there is at least one problem.
        """
        if self._seen:
            raise DataError(
                f"{self._place}: {'; '.join(self._seen)}.",
                expected=self._expected,
                fix="; ".join(self._fixes) + ".",
            )


def _row(row: dict[str, object], show: Sequence[str]) -> str:
    values = ", ".join(f"{name}={_short(row[name])}" for name in show if name in row)
    return f"row {row[ROW]} ({values})"


def _short(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
