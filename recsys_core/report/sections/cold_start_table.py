"""The cold-start table of the reproduction, for the page and as text."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from recsys_core.columns import CI_HIGH, CI_LOW, METHOD, P_ADJUSTED, PROTOCOL, VALUE

Row = Mapping[str, Any]
"""Of `columns.COLD`."""


def cold_protocols(table: pl.DataFrame) -> list[str]:
    """The protocols of `columns.COLD`, in its order."""
    return table[PROTOCOL].unique(maintain_order=True).to_list()


def cold_rows(table: pl.DataFrame) -> dict[str, dict[str, Row]]:
    """Method -> protocol -> its row of `columns.COLD`."""
    rows: dict[str, dict[str, Row]] = {}
    for row in table.iter_rows(named=True):
        rows.setdefault(row[METHOD], {})[row[PROTOCOL]] = row
    return rows


def cold_as_text(table: pl.DataFrame, reference: str) -> list[str]:
    """Lines of a Markdown table: a row per method, a column per protocol."""
    protocols = cold_protocols(table)
    lines = [
        f"**Cold start, NDCG@10** (95 % interval; p against {reference})",
        "",
        "| method | " + " | ".join(protocols) + " |",
        "|---|" + "---|" * len(protocols),
    ]
    for method, cells in cold_rows(table).items():
        shown = " | ".join(_cell(cells.get(one)) for one in protocols)
        lines.append(f"| {method} | {shown} |")
    return lines


def _cell(row: Row | None) -> str:
    if row is None or row[VALUE] is None:
        return "-"
    interval = "" if row[CI_LOW] is None else f" ({row[CI_LOW]:.3f} to {row[CI_HIGH]:.3f})"
    test = "" if row[P_ADJUSTED] is None else f", p {row[P_ADJUSTED]:.3f}"
    return f"{row[VALUE]:.3f}{interval}{test}"
