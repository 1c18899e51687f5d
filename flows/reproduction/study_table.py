"""The table of one study of `flows.benchmarks`, from the reproductions that measured it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from scipy import stats

from recsys_core.columns import CI_HIGH, CI_LOW, METHOD, METRIC, P_ADJUSTED, PROTOCOL, VALUE, K
from recsys_core.config.benchmarks import Measure, Study
from recsys_core.config.reproduction_methods import VARIANTS
from recsys_core.evaluation.cross_validation import mean_over_folds
from recsys_core.report.benchmark_page import Cell, Row, StudyTable
from recsys_core.report.reproduction_page import Reproduction


def study_table(study: Study, runs: Sequence[Reproduction]) -> StudyTable:
    """The table of one data set.

    Args:
        study: what was measured.
        runs: of the first seed with all methods, then of further seeds with the reference alone.
    """
    first, *_ = runs
    means = [mean_over_folds(one.metrics) for one in runs]
    tests = {row[METHOD]: row[P_ADJUSTED] for table in first.comparisons.values()
             for row in table.iter_rows(named=True)}  # fmt: skip
    rows = [
        Row(
            method=method, ours=method == first.reference, p_adjusted=tests.get(method),
            cells=_cells(study.measures, means if method == first.reference else means[:1], method),
        )
        for method in means[0][METHOD].unique(maintain_order=True)
    ]  # fmt: skip
    rows += [
        Row(
            method=one.method, source=one.source,
            cells={label: Cell(value=value) for label, value in one.values.items()},
        )
        for one in study.published
    ]  # fmt: skip
    labels = [one.label for one in study.measures]
    last = labels[-1]
    rows = sorted(rows, key=lambda row: -row.cells[last].value if last in row.cells else np.inf)
    ratio, baseline = _against_baselines(rows, last)
    return StudyTable(
        name=study.name, note=study.note, measures=labels, rows=_marked(rows), ratio=ratio,
        baseline=baseline, seeds=len(runs), folder=first.folder,
    )  # fmt: skip


def _cells(
    measures: Sequence[Measure], means: Sequence[pl.DataFrame], method: str
) -> dict[str, Cell]:
    found = {}
    for one in measures:
        of_seeds = [
            row
            for table in means
            for row in table.filter(
                (pl.col(METHOD) == method) & (pl.col(PROTOCOL) == one.protocol)
                & (pl.col(METRIC) == one.metric) & (pl.col(K) == one.k)
            ).iter_rows(named=True)
        ]  # fmt: skip
        if len(of_seeds) == 1:
            (row,) = of_seeds
            found[one.label] = Cell(value=row[VALUE], low=row[CI_LOW], high=row[CI_HIGH])
        elif of_seeds:
            found[one.label] = _over_seeds([row[VALUE] for row in of_seeds])
    return found


def _over_seeds(values: Sequence[float]) -> Cell:
    mean, count = float(np.mean(values)), len(values)
    error = float(np.std(values, ddof=1)) / count**0.5
    reach = float(stats.t.ppf(0.975, count - 1)) * error
    return Cell(value=mean, low=mean - reach, high=mean + reach)


def _against_baselines(rows: Sequence[Row], last: str) -> tuple[float | None, str | None]:
    ours = next((row.cells[last].value for row in rows if row.ours and last in row.cells), None)
    others = [
        row for row in rows
        if row.source is None and row.method not in VARIANTS and last in row.cells
    ]  # fmt: skip
    if ours is None or not others or not others[0].cells[last].value:
        return None, None
    return ours / others[0].cells[last].value, others[0].method


def _marked(rows: Sequence[Row]) -> list[Row]:
    """The rows with the best cell of every measure marked."""
    best: dict[str, float] = {}
    for row in rows:
        for label, cell in row.cells.items():
            best[label] = max(cell.value, best.get(label, cell.value))
    return [
        replace(row, cells={
            label: replace(cell, best=cell.value == best[label])
            for label, cell in row.cells.items()
        })
        for row in rows
    ]  # fmt: skip
