"""What a run prints at its end: where the outputs are, one user's list, metrics, time, cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recsys_core.columns import EXPLANATION, RANK, TITLE, USER
from recsys_core.evaluation.metric_table import shown_in
from recsys_core.report.summary import HEADLINE_K, HEADLINE_PROTOCOL, StepSummary, Summary

if TYPE_CHECKING:
    from tasks.recommended import Recommended

_METRICS = tuple(one.name for one in shown_in("accuracy"))
_SHOWN = 5


def show(summary: Summary, console: Console | None = None) -> None:
    """Print the summary of a run."""
    # Plain widths where the output is a file or a pipe, so that nothing is cut off.
    out = console or Console(width=None if Console().is_terminal else 120)
    folder = _outputs(out, summary.folder)
    out.print(f"Data: {escape(summary.data_source)}")
    for note in summary.facts.get("ingest", {}).get("notes", ()):
        out.print(f"  {escape(note)}")
    _recommendations(out, pl.read_parquet(folder / "recommendations.parquet"))
    _headline(out, summary)
    for line in (*summary.reranking, *summary.changes):
        out.print(escape(line))
    _step_table(out, summary.seconds, summary.steps)
    llm = summary.llm
    out.print(
        f"LLM: {escape(llm.model)}, {llm.calls:,} calls, {llm.tokens_in + llm.tokens_out:,} tokens,"
        f" ${llm.cost_usd:.4f}"
    )


def show_recommended(made: "Recommended", console: Console | None = None) -> None:
    """Print the summary of lists that were made without training."""
    out = console or Console(width=None if Console().is_terminal else 120)
    folder = _outputs(out, made.folder)
    out.print(f"Model: {escape(made.model)}")
    out.print(", ".join(f"{count:,} users {escape(one)}" for one, count in made.statuses.items()))
    for note in made.notes:
        out.print(f"  {escape(note)}")
    _recommendations(out, pl.read_parquet(folder / "recommendations.parquet"))
    _step_table(out, made.seconds, made.steps)


def _outputs(out: Console, place: str) -> Path:
    folder = Path(place)
    out.print(f"\n[bold]Outputs[/bold] in {escape(str(folder))}")
    for path in sorted(folder.glob("[!.]*")):
        out.print(f"  {escape(path.name)}")
    return folder


def _recommendations(out: Console, lists: pl.DataFrame) -> None:
    if lists.is_empty():
        out.print("No recommendations: no user has a candidate left.")
        return
    user = lists[USER][0]
    top = lists.filter(pl.col(USER) == user).sort(RANK).head(_SHOWN)
    out.print(f"\n[bold]Top {top.height} of user {escape(str(user))}[/bold]")
    for row in top.iter_rows(named=True):
        out.print(f"  {row[RANK]}. [bold]{escape(row[TITLE])}[/bold]  {escape(row[EXPLANATION])}")


def _headline(out: Console, summary: Summary) -> None:
    if not summary.headline:
        return
    table = Table("method", title=f"Protocol {HEADLINE_PROTOCOL}, k = {HEADLINE_K}")
    for name in _METRICS:
        table.add_column(name, justify="right")
    best_first = sorted(summary.headline.items(), key=lambda row: -(row[1].get(_METRICS[0]) or 0.0))
    for method, values in best_first:
        figures = (values.get(name) for name in _METRICS)
        shown = ("-" if value is None else f"{value:.4f}" for value in figures)
        table.add_row(escape(method), *shown)
    out.print(table)


def _step_table(out: Console, seconds: float, steps: Sequence[StepSummary]) -> None:
    table = Table("step", title=f"{seconds:.1f} s in all")
    for name in ("seconds", "peak MiB", "rows", "cached"):
        table.add_column(name, justify="right")
    for row in steps:
        cached = "yes" if row.cached else "no"
        figures = (f"{row.seconds:.1f}", f"{row.peak_memory_mib:.0f}", f"{row.rows:,}", cached)
        table.add_row(escape(row.step), *figures)
    out.print(table)
