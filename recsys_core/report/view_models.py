"""Tables and texts in the form the page shows them: no markup here, no data access there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    COST,
    LATENCY,
    METHOD,
    METRIC,
    MODEL,
    PROTOCOL,
    PURPOSE,
    TOKENS_IN,
    TOKENS_OUT,
    USERS,
    VALUE,
    VERDICT,
    K,
)
from recsys_core.evaluation.metric_table import Metric, shown_in

ACCURACY: Final = shown_in("accuracy")
"""Metrics of the tables of results, the one that ranks the methods first."""
BEYOND_ACCURACY: Final = shown_in("beyond accuracy")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A metric with its 95 % interval (None where it was not computed)."""

    value: float
    low: float | None
    high: float | None
    best: bool


@dataclass(frozen=True, kw_only=True)
class MethodRow:
    """One method of a table; a metric that it lacks is None."""

    method: str
    ours: bool
    users: int
    cells: Sequence[Cell | None]


def method_rows(
    metrics: pl.DataFrame,
    protocol: str,
    k: int,
    ours: Sequence[str] = (),
    shown: Sequence[Metric] = ACCURACY,
) -> list[MethodRow]:
    """The table of one protocol at one cut-off; empty without rows.

    The best value of the first metric comes first: of `ACCURACY` the highest NDCG.
    """
    names = [one.name for one in shown]
    part = metrics.filter(
        (pl.col(PROTOCOL) == protocol) & (pl.col(K) == k) & pl.col(METRIC).is_in(names)
    )
    top = {
        one.name: values.max() if one.higher_is_better else values.min()
        for one in shown
        for values in [part.filter(pl.col(METRIC) == one.name)[VALUE]]
    }
    found: dict[str, dict[str, Cell]] = {}
    users: dict[str, int] = {}
    for row in part.drop_nulls(VALUE).iter_rows(named=True):
        best = row[VALUE] == top[row[METRIC]]
        cell = Cell(value=row[VALUE], low=row[CI_LOW], high=row[CI_HIGH], best=best)
        found.setdefault(row[METHOD], {})[row[METRIC]] = cell
        users[row[METHOD]] = max(users.get(row[METHOD], 0), row[USERS])
    rows = [
        MethodRow(
            method=method,
            ours=method in ours,
            users=users[method],
            cells=[cells.get(name) for name in names],
        )
        for method, cells in found.items()
    ]
    return sorted(rows, key=lambda row: -(row.cells[0].value if row.cells[0] else 0.0))


def protocols(metrics: pl.DataFrame) -> list[str]:
    """Protocols in which a metric of the tables was measured, in their order of appearance."""
    measured = metrics.filter(
        pl.col(METRIC).is_in([one.name for one in ACCURACY]) & pl.col(VALUE).is_not_null()
    )
    return measured[PROTOCOL].unique(maintain_order=True).to_list()


def call_rows(calls: pl.DataFrame) -> list[dict[str, Any]]:
    """The ledger by purpose and model: calls, tokens, dollars, median seconds, verdicts."""
    grouped = (
        calls.group_by(PURPOSE, MODEL)
        .agg(
            pl.len().alias("calls"),
            pl.col(TOKENS_IN, TOKENS_OUT, COST).sum(),
            pl.col(LATENCY).median(),
            pl.col(VERDICT).value_counts(sort=True),
        )
        .sort(COST, PURPOSE, MODEL, descending=[True, False, False])
    )
    return [
        {
            "purpose": row[PURPOSE], "model": row[MODEL], "calls": row["calls"],
            "tokens_in": row[TOKENS_IN], "tokens_out": row[TOKENS_OUT], "cost": row[COST],
            "latency": row[LATENCY],
            "verdicts": ", ".join(f"{one['count']:,} {one[VERDICT]}" for one in row[VERDICT]),
        }
        for row in grouped.iter_rows(named=True)
    ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Block:
    """A section of a profile: its heading (may be empty) and lines, each with its label."""

    heading: str
    lines: Sequence[tuple[str, str]]


def profile_blocks(markdown: str) -> list[Block]:
    """A profile's Markdown as plain text: headings, `- **Label**: text` lines, paragraphs."""
    blocks: list[tuple[str, list[tuple[str, str]]]] = [("", [])]
    for line in filter(None, map(str.strip, markdown.splitlines())):
        if line.startswith("#"):
            blocks.append((line.lstrip("# ").rstrip(": "), []))
        else:
            blocks[-1][1].append(_labelled(line))
    return [Block(heading=heading, lines=lines) for heading, lines in blocks if lines]


def _labelled(line: str) -> tuple[str, str]:
    text = line.removeprefix("- ").removeprefix("* ")
    label, found, rest = text.partition("**:")
    if found and label.startswith("**"):
        return label[2:], rest.strip()
    return "", text.replace("**", "")


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested parameters or facts as dotted names and short texts."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _short(value)))
    return rows


def _short(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6g}"
    return json.dumps(value, ensure_ascii=False, default=str)
