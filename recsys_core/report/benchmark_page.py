"""The page of several data sets: our methods beside the literature's figures.

`StudyTable` holds the numbers of one data set; nothing is computed from lists here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_core.columns import CI_HIGH, CI_LOW, METHOD, VALUE
from recsys_core.report.html import environment

_TEMPLATE: Final = "benchmarks.html.j2"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A value with its 95 % interval: over users, or over seeds where there are several."""

    value: float
    low: float | None = None
    high: float | None = None
    best: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method, ours or of the literature.

    Attributes:
        method: its name.
        cells: measure -> value.
        source: the publication; None where it was measured here.
        ours: whether it is the study's reference.
        p_adjusted: of the paired test of NDCG against the reference (Holm); None where none is.
    """

    method: str
    cells: Mapping[str, Cell]
    source: str | None = None
    ours: bool = False
    p_adjusted: float | None = None


@dataclass(frozen=True, kw_only=True)
class StudyTable:
    """One data set.

    Attributes:
        name: heading.
        note: what a reader must know of the protocol.
        measures: labels of the columns.
        rows: best first, by the last measure.
        ratio: the reference's last measure over that of the best baseline; None without either.
        baseline: that baseline.
        seeds: seeds behind the reference's values.
        folder: where the study's own page is.
    """

    name: str
    note: str
    measures: Sequence[str]
    rows: Sequence[Row]
    ratio: float | None
    baseline: str | None
    seeds: int
    folder: str


@dataclass(frozen=True, kw_only=True)
class Benchmarks:
    """All data sets of one run."""

    run_name: str
    created: datetime
    folder: str
    tables: Sequence[StudyTable]

    @property
    def ratio(self) -> float | None:
        """Mean over data sets of the reference over the best baseline."""
        found = [one.ratio for one in self.tables if one.ratio is not None]
        return float(np.mean(found)) if found else None


def render(found: Benchmarks) -> str:
    """The page as one self-contained HTML text: no network, no script, everything escaped."""
    return environment().get_template(_TEMPLATE).render(found=found)


def as_table(found: Benchmarks) -> pl.DataFrame:
    """Every cell: study, method, measure, value, interval, the publication."""
    rows: list[dict[str, Any]] = [
        {
            "study": table.name, METHOD: row.method, "measure": label, VALUE: cell.value,
            CI_LOW: cell.low, CI_HIGH: cell.high, "source": row.source,
        }
        for table in found.tables
        for row in table.rows
        for label, cell in row.cells.items()
    ]  # fmt: skip
    types = dict.fromkeys((VALUE, CI_LOW, CI_HIGH), pl.Float64) | {"source": pl.String}
    return pl.DataFrame(rows, schema_overrides=types)


def as_text(found: Benchmarks) -> str:
    """The tables as Markdown."""
    lines = [f"Outputs in {found.folder}"]
    for table in found.tables:
        lines += ["", f"**{table.name}**", "", f"| method | {' | '.join(table.measures)} |"]
        lines.append("|---|" + "--:|" * len(table.measures))
        for row in table.rows:
            cells = (
                f"{row.cells[one].value:.4f}" if one in row.cells else "-"
                for one in table.measures
            )  # fmt: skip
            name = f"{row.method} (published)" if row.source else row.method
            lines.append(f"| {name} | {' | '.join(cells)} |")
    if found.ratio is not None:
        lines += ["", f"Over the best baseline, mean over data sets: {found.ratio:.3f}"]
    return "\n".join(lines)
