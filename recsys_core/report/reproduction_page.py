"""The page of a reproduction: the paper's Figure 2, Table 1 and ablations, and what they say.

`Reproduction` holds the numbers; nothing is computed from lists here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
from markupsafe import Markup

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    COLD,
    COMPARISONS,
    DATA_SET,
    DIFFERENCE,
    FOLD,
    METHOD,
    METRIC,
    METRICS,
    OURS,
    P_ADJUSTED,
    PAPER,
    PROTOCOL,
    PUBLISHED,
    REFERENCE,
    REPRODUCTION,
    TABLE_1,
    USERS,
    VALUE,
    K,
    check,
)
from recsys_core.evaluation.cross_validation import mean_over_folds
from recsys_core.evaluation.metric_table import METRICS as ALL_METRICS
from recsys_core.evaluation.metric_table import metric
from recsys_core.evaluation.metrics import NDCG
from recsys_core.report import plots
from recsys_core.report import view_models as views
from recsys_core.report.html import environment
from recsys_core.report.sections.cold_start_table import cold_as_text, cold_protocols, cold_rows
from recsys_core.report.sections.strategy_gains import StrategyRow
from recsys_core.report.summary import HEADLINE_PROTOCOL, StepSummary

_TEMPLATE: Final = "reproduction.html.j2"
_BY_HISTORY: Final = ("full/warm", "full/new")
"""Known and new users apart, where the split is one by time."""


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A variant compared with the model that it changes."""

    data_set: str
    variant: str
    base: str
    row: Mapping[str, Any]
    """Of `columns.COMPARISONS`; a positive difference says that the variant is better."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """All numbers of one run.

    Attributes:
        run_name: name of the run.
        created: when it started, UTC.
        seconds: wall time.
        folder: where its outputs are.
        k: cut-off of tables and tests.
        reference: the method that every other one is compared with.
        figure_2: the methods of Figure 2 that were measured or not, in the order of their colours.
        metrics: `columns.REPRODUCTION`.
        comparisons: data set -> `columns.COMPARISONS`, NDCG at `k`, protocol `full`.
        ablations: variants compared with the models that they change.
        strategies: what reranking gains and costs.
        cold: `columns.COLD`; empty where no seed was asked for.
        table_1: `columns.TABLE_1`; empty where the paper's data set or fold is not there.
        profiles: data set and fold -> who wrote the profiles of items and of users.
        choices: what was chosen on validation: data set, fold, method, choice.
        notes: what a reader must know, a sentence each.
        steps: the steps of this run.
        config: the resolved parameters.
    """

    run_name: str
    created: datetime
    seconds: float
    folder: str
    k: int
    reference: str
    figure_2: Sequence[str]
    metrics: pl.DataFrame
    comparisons: Mapping[str, pl.DataFrame]
    ablations: Sequence[Ablation]
    strategies: Sequence[StrategyRow]
    cold: pl.DataFrame
    table_1: pl.DataFrame
    profiles: Sequence[tuple[str, int, str, str]]
    choices: Sequence[tuple[str, int, str, str]]
    notes: Sequence[str]
    steps: Sequence[StepSummary]
    config: Mapping[str, Any]


def render(data: Reproduction) -> str:
    """The page as one self-contained HTML text: no network, no script, everything escaped.

    Raises:
        DataError: a table breaks its schema.
    """
    check(data.metrics, REPRODUCTION, table="metrics")
    check(data.table_1, TABLE_1, table="table 1")
    check(data.cold, COLD, table="cold start")
    for name, table in data.comparisons.items():
        check(table, COMPARISONS, table=f"comparisons of {name}")
    return environment().get_template(_TEMPLATE).render(**_context(data))


def _context(data: Reproduction) -> dict[str, Any]:
    return {
        "data": data,
        "shown": views.ACCURACY,
        "studies": [_study(data, name) for name in _data_sets(data)],
        "cold": cold_rows(data.cold),
        "cold_protocols": cold_protocols(data.cold),
        "table_1": table_1_rows(data.table_1),
        "table_1_metrics": data.table_1[METRIC].unique(maintain_order=True).to_list(),
    }


def _study(data: Reproduction, name: str) -> dict[str, Any]:
    """Everything about one data set."""
    metrics = data.metrics.filter(pl.col(DATA_SET) == name)
    everywhere = _everywhere(mean_over_folds(metrics).select(*METRICS))
    folds = metrics[FOLD].unique().sort().to_list()
    drawn = everywhere[METHOD].unique().to_list()
    wanted = dict.fromkeys([data.reference, *data.figure_2])
    series = [method for method in wanted if method in drawn] or sorted(drawn)
    series = series[: plots.SERIES]
    return {
        "name": name,
        "folds": folds,
        "rows": views.method_rows(everywhere, HEADLINE_PROTOCOL, data.k, [data.reference]),
        "by_fold": _by_fold(metrics, data.k),
        "tests": _tests(data.comparisons.get(name)),
        "ablations": [one for one in data.ablations if one.data_set == name],
        "series": series,
        "figures": _by_protocol(everywhere, name, series, [data.reference]),
        "strategies": [one for one in data.strategies if one.data_set == name],
        "figure_3": [
            {"base": base, "series": lines,
             "figures": _by_protocol(everywhere, f"{name} {base}", lines, [base])}
            for base, lines in _reranked(data, name)
        ],
    }  # fmt: skip


def _reranked(data: Reproduction, name: str) -> list[tuple[str, list[str]]]:
    """Every model whose lists were reranked, followed by these lists' methods."""
    found: dict[str, list[str]] = {}
    for one in data.strategies:
        pair = one.reranking
        if one.data_set == name and not pair.base.startswith(PUBLISHED):
            found.setdefault(pair.base, [pair.base]).append(pair.method)
    return list(found.items())


def _by_protocol(
    means: pl.DataFrame, name: str, series: Sequence[str], ours: Sequence[str]
) -> list[tuple[str, list[tuple[str, Markup]]]]:
    measured = set(means[PROTOCOL])
    return [
        (protocol, _plots(means, name, protocol, series, ours))
        for protocol in ("full", *_BY_HISTORY, "condensed")
        if protocol in measured
    ]


def _everywhere(means: pl.DataFrame) -> pl.DataFrame:
    """Without the authors' lists: they are for one fold, whose mean would not compare."""
    return means.filter(~pl.col(METHOD).str.starts_with(PUBLISHED))


def _by_fold(metrics: pl.DataFrame, k: int) -> dict[str, dict[int, float]]:
    """NDCG@k of every method on every fold, the lists published by the authors among them."""
    part = metrics.filter(
        (pl.col(PROTOCOL) == HEADLINE_PROTOCOL) & (pl.col(METRIC) == NDCG) & (pl.col(K) == k)
    ).drop_nulls(VALUE)
    found: dict[str, dict[int, float]] = {}
    for method, fold, value in part.select(METHOD, FOLD, VALUE).iter_rows():
        found.setdefault(method, {})[fold] = value
    order = sorted(found, key=lambda name: -sum(found[name].values()) / len(found[name]))
    return {name: found[name] for name in order}


def _tests(table: pl.DataFrame | None) -> list[dict[str, Any]]:
    return [] if table is None else table.sort(DIFFERENCE, descending=True).to_dicts()


def _plots(
    means: pl.DataFrame, name: str, protocol: str, series: Sequence[str], ours: Sequence[str]
) -> list[tuple[str, Markup]]:
    """A plot per metric; the label carries the data set, so that ids on the page differ."""
    label = f"{name} {protocol}"
    part = means.filter((pl.col(PROTOCOL) == protocol) & pl.col(METHOD).is_in(list(series)))
    part = part.with_columns(pl.lit(label).alias(PROTOCOL))
    return [
        (one.name, plots.metric_by_k(part, label, one.name, series, ours))
        for one in ALL_METRICS
        if one.plotted and part.filter(pl.col(METRIC) == one.name)[K].n_unique() > 1
    ]


def table_1_rows(table: pl.DataFrame) -> dict[str, dict[str, dict[str, float | None]]]:
    """Method -> metric -> the paper's, the published list's and our value."""
    rows: dict[str, dict[str, dict[str, float | None]]] = {}
    for row in table.iter_rows(named=True):
        rows.setdefault(row[METHOD], {})[row[METRIC]] = {
            one: row[one] for one in (PAPER, PUBLISHED, OURS)
        }
    return rows


def _data_sets(data: Reproduction) -> list[str]:
    return data.metrics[DATA_SET].unique(maintain_order=True).to_list()


def as_text(data: Reproduction) -> str:
    """The headline as Markdown, for a terminal and for the log of experiments."""
    lines = [f"Outputs in {data.folder} ({data.seconds:.0f} s)"]
    for name in _data_sets(data):
        for protocol in (HEADLINE_PROTOCOL, *_BY_HISTORY):
            if table := _means_as_text(data, name, protocol):
                lines += ["", *table]
        lines += ["", *_folds_as_text(data, name)]
        lines += ["", *_tests_as_text(data, name), "", *_strategies_as_text(data, name)]
    if data.cold.height:
        lines += ["", *cold_as_text(data.cold, data.reference)]
    if data.table_1.height:
        lines += ["", *_table_1_as_text(data)]
    return "\n".join([*lines, "", *(f"- {note}" for note in data.notes)])


def _means_as_text(data: Reproduction, name: str, protocol: str) -> list[str]:
    metrics = data.metrics.filter(pl.col(DATA_SET) == name)
    folds = metrics[FOLD].unique().sort().to_list()
    means = _everywhere(mean_over_folds(metrics).select(*METRICS))
    rows = views.method_rows(means, protocol, data.k, [data.reference])
    if not rows and protocol != HEADLINE_PROTOCOL:
        return []
    head = " | ".join(one.label for one in views.ACCURACY)
    lines = [
        f"**{name}, folds {', '.join(map(str, folds))}, protocol `{protocol}`, k = {data.k}**"
        " (means)",
        "",
        f"| method | {head} |",
        "|---|" + "--:|" * len(views.ACCURACY),
    ]
    for row in rows:
        cells = " | ".join("-" if one is None else f"{one.value:.4f}" for one in row.cells)
        lines.append(f"| {row.method} | {cells} |")
    return lines


def _folds_as_text(data: Reproduction, name: str) -> list[str]:
    metrics = data.metrics.filter(pl.col(DATA_SET) == name)
    folds = metrics[FOLD].unique().sort().to_list()
    lines = [
        f"| NDCG@{data.k} | " + " | ".join(f"fold {fold}" for fold in folds) + " |",
        "|---|" + "--:|" * len(folds),
    ]
    for method, values in _by_fold(metrics, data.k).items():
        cells = (f"{values[fold]:.4f}" if fold in values else "-" for fold in folds)
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def _tests_as_text(data: Reproduction, name: str) -> list[str]:
    rows = _tests(data.comparisons.get(name)) + [
        dict(one.row) for one in data.ablations if one.data_set == name
    ]
    lines = ["| method | against | NDCG difference | 95 % | p (Holm) | users |"]
    lines.append("|---|---|--:|---|--:|--:|")
    for row in rows:
        lines.append(
            f"| {row[METHOD]} | {row[REFERENCE]} | {row[DIFFERENCE]:+.4f}"
            f" | {row[CI_LOW]:+.4f} to {row[CI_HIGH]:+.4f} | {row[P_ADJUSTED]:.4f} | {row[USERS]} |"
        )
    return lines if rows else []


def _strategies_as_text(data: Reproduction, name: str) -> list[str]:
    rows = [one for one in data.strategies if one.data_set == name]
    lines = [
        f"| lists | strategy | full NDCG@{data.k} | gain | condensed | gain | calls, tokens in,"
        " tokens out, dollars, seconds per 1,000 users |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        cells = " | ".join(
            f"{row.changes[one].after:.4f} | {row.changes[one].gain:+.4f}"
            if one in row.changes else "- | -"
            for one in ("full", "condensed")
        )  # fmt: skip
        pair = row.reranking
        none = "not known" if pair.base.startswith(PUBLISHED) else "no model called"
        costs = ", ".join(f"{value:,.2f}" for value in row.costs.values()) or none
        lines.append(f"| {pair.base} | {pair.strategy} | {cells} | {costs} |")
    return lines if rows else []


def _table_1_as_text(data: Reproduction) -> list[str]:
    rows = table_1_rows(data.table_1)
    metrics = data.table_1[METRIC].unique(maintain_order=True).to_list()
    lines = [
        "**Table 1** (paper / published list, measured here / ours)",
        "",
        "| method | " + " | ".join(metric(one).label for one in metrics) + " |",
        "|---|" + "---|" * len(metrics),
    ]
    for method, values in rows.items():
        cells = [
            " / ".join("-" if v is None else f"{v:.3f}" for v in values[one].values())
            for one in metrics
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines
