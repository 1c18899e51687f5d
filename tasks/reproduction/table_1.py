"""The paper's Table 1, with the values measured here."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from recsys_core.columns import (
    DATA_SET,
    FOLD,
    METHOD,
    METRIC,
    OURS,
    PAPER,
    PROTOCOL,
    PUBLISHED,
    TABLE_1,
    VALUE,
    K,
)
from recsys_core.config import ReproduceConfig
from recsys_core.config.reproduction_methods import table_1 as table_1_methods
from recsys_core.errors import DataError
from recsys_core.evaluation.protocols import CONDENSED, protocol_label
from tasks.reproduction.caveats import PREFIX

_TABLE_1_K: Final = 10


def table_1(
    metrics: pl.DataFrame, paper: Mapping[str, Mapping[str, float]], cold_below: int
) -> pl.DataFrame:
    """The paper's Table 1 beside what is measured here (`columns.TABLE_1`).

    Args:
        metrics: `columns.REPRODUCTION`.
        paper: method -> metric -> the value in the paper.
        cold_below: users with fewer training interactions are cold.
    """
    cold = metrics.filter(
        (pl.col(PROTOCOL) == protocol_label(CONDENSED, cold_below - 1))
        & (pl.col(K) == _TABLE_1_K)
        & (pl.col(FOLD) == 1)
        & (pl.col(DATA_SET) == metrics[DATA_SET][0])
    )
    counterparts = table_1_methods()
    measured = {(row[METHOD], row[METRIC]): row[VALUE] for row in cold.iter_rows(named=True)}
    rows = [
        {
            METHOD: method, METRIC: metric, PAPER: value,
            PUBLISHED: measured.get((f"{PREFIX}{method}", metric)),
            OURS: measured.get((counterparts.get(method, ""), metric)),
        }
        for method, values in (paper if measured else {}).items()
        for metric, value in values.items()
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict(TABLE_1))


def paper_rows(config: ReproduceConfig) -> dict[str, dict[str, float]]:
    path = config.paper_file("table1.csv")
    if path is None:
        return {}
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            return {
                row.pop(METHOD): {name: float(value) for name, value in row.items()}
                for row in csv.DictReader(file)
            }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read: {error!r}",
            expected="a CSV file with the columns method, precision, recall, ndcg and map.",
        ) from error
