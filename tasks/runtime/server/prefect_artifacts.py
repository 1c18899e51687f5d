"""A run's results as artifacts in Prefect's UI, where a server is set.

Tables hold plain JSON: a number that is not finite would empty the whole table, so it is left out.
Text from data sets is escaped: titles and reasons are shown, never rendered.
"""

import base64
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import polars as pl
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.settings import get_current_settings

from recsys_core.columns import (
    CAPTION,
    COST,
    EXPLANATION,
    MODEL,
    PURPOSE,
    RANK,
    SCORE,
    SVG,
    TITLE,
    TOKENS_IN,
    TOKENS_OUT,
    USER,
    VERDICT,
)
from recsys_core.datasets.config import SplitConfig
from recsys_core.evaluation.metrics import NDCG
from recsys_core.report.plots import alternative, standalone
from recsys_core.report.summary import HEADLINE_K, HEADLINE_PROTOCOL, Summary
from tasks.runtime.references import FiguresRef, RecommendationsRef
from tasks.runtime.server.patience import patiently

HEADLINE_KEY: Final = "headline-metrics"
"""Key of the table that CI's quality gate reads (deployments/ci_run.py)."""
SAMPLE_USERS: Final = 5
SAMPLE_ENTRIES: Final = 5
_MARKUP: Final = re.compile(
    r"[\[\]<>`*|\\]|://|@|www\.|javascript:|~~|&#?\w+;|(?<!\w)_|_(?!\w)"
    r"|^\s*(#|[-+](\s|[-+])|\d+[.)]\s)",
    re.IGNORECASE,
)
_LINK: Final = re.compile(r"https?(?=://)|www(?=\.)|[\w.+-](?=@)", re.IGNORECASE)
"""Where renderers find a link in text, whatever is escaped in it."""
_JOINER: Final = "\u2060"
"""Takes no place, and is no part of a link."""
"""What the UI's tables would render: Markdown, HTML, links that are made of themselves."""
_SPECIAL: Final = "\\`*_{}[]()<>#+-.!|~&:@"
"""With `:` and `@`, of which Markdown makes links by itself."""


def publish_artifacts(
    summary: Summary,
    *,
    recommendations: RecommendationsRef,
    calls: pl.DataFrame,
    figures: FiguresRef,
) -> None:
    """Create the run's artifacts; does nothing without a server.

    Args:
        summary: the run in numbers.
        recommendations: the served lists, with reasons.
        calls: the ledger of this run (`columns.LLM_CALLS`).
        figures: its plots.
    """
    if not get_current_settings().api.url:
        return
    _create(create_markdown_artifact, overview(summary), key="run", description="The run")
    title = f"Protocol {HEADLINE_PROTOCOL}, k = {HEADLINE_K}"
    rows = headline_rows(summary)
    _create(create_table_artifact, table(rows), key=HEADLINE_KEY, description=title)
    shown = sample(recommendations.table("recommendations"))
    text = "Lists of the first users"
    # Markdown, since the UI cuts the cells of tables.
    _create(create_markdown_artifact, lists(shown), key="recommendations", description=text)
    _create(
        create_table_artifact, table(ledger(calls)), key="cost", description=escape(cost(summary))
    )
    if link := report_link(summary):
        _create(create_link_artifact, link, key="report", link_text="report.html")
    else:
        _create(create_markdown_artifact, report_place(summary), key="report")
    for key, text, uri in images(figures.table("figures")):
        _create(create_image_artifact, uri, key=key, description=text)


def _create(make: Callable[..., Any], content: Any, **more: str) -> None:
    # `_sync` is Prefect's own switch: inside an event loop these would return coroutines.
    patiently(lambda: make(content, **more, _sync=True))


def report_link(summary: Summary) -> str | None:
    """Address of the report below RECSYS_RUNS_URL, where the folder of runs is served; else None.

    Not that of the file: browsers refuse `file://` links of a page that came over http.
    """
    place = os.environ.get("RECSYS_RUNS_URL")
    return f"{place.rstrip('/')}/{quote(Path(summary.folder).name)}/report.html" if place else None


def report_place(summary: Summary) -> str:
    """Where the report lies, and how to open it from here."""
    folder = Path(summary.folder)
    serve = f"python -m http.server 4201 --bind 127.0.0.1 --directory {folder.parent}"
    return (
        f"The report is {escape(str(folder / 'report.html'))} on the worker's machine.\n\n"
        f"To open it from here: {escape(serve)}, and"
        " `RECSYS_RUNS_URL=http://127.0.0.1:4201` for the workers."
    )


def overview(summary: Summary) -> str:
    """The run as Markdown: data, models, steps, cost, and where the outputs are."""
    lines = [
        f"## Run {escape(summary.run_name)}",
        f"{summary.seconds:.1f} s. Outputs: {escape(summary.folder)}. {escape(cost(summary))}.",
        f"Data: {escape(summary.data_source)}.",
        "",
        "| step | seconds | peak MiB | rows | cached |",
        "|---|--:|--:|--:|---|",
    ]
    lines += [
        f"| {escape(one.step)} | {one.seconds:.1f} | {one.peak_memory_mib:.0f} | {one.rows}"
        f" | {'yes' if one.cached else 'no'} |"
        for one in summary.steps
    ]
    return "\n".join(lines)


def cost(summary: Summary) -> str:
    """Calls, tokens and dollars in one line."""
    llm = summary.llm
    tokens = llm.tokens_in + llm.tokens_out
    return f"LLM {llm.model}: {llm.calls:,} calls, {tokens:,} tokens, ${llm.cost_usd:.4f}"


def headline_rows(summary: Summary) -> list[dict[str, Any]]:
    """A row per method, the best NDCG first, each with what it was measured on."""
    best_first = sorted(summary.headline.items(), key=lambda one: -(one[1].get(NDCG) or 0.0))
    on = measured_on(summary)
    return [{"method": method, **values, **on} for method, values in best_first]


def measured_on(summary: Summary) -> dict[str, str]:
    """Data set, split and protocol: figures of runs that differ in these do not compare."""
    split = SplitConfig.model_validate(summary.config["split"])
    others = split.model_dump(mode="json", exclude={"kind", "fold"}, exclude_defaults=True)
    parts = {"fold": split.fold, "seed": summary.config["seed"], **others}
    return {
        "data": str(summary.config["data"]["source"]),
        "split": ", ".join([split.kind, *(f"{name} {value}" for name, value in parts.items())]),
        "protocol": f"{HEADLINE_PROTOCOL}, k = {HEADLINE_K}",
    }


def sample(recommendations: pl.DataFrame) -> list[dict[str, Any]]:
    """The first entries of the first users' lists."""
    users = recommendations[USER].unique(maintain_order=True).head(SAMPLE_USERS)
    shown = recommendations.filter(
        pl.col(USER).is_in(users.implode()) & (pl.col(RANK) <= SAMPLE_ENTRIES)
    )
    return shown.select(USER, RANK, TITLE, EXPLANATION, SCORE).to_dicts()


def lists(shown: Sequence[Mapping[str, Any]]) -> str:
    """Rows of `sample` as a Markdown table, the reasons whole."""
    lines = ["| user | rank | title | reason | score |", "|---|--:|---|---|--:|"]
    lines += [
        f"| {escape(str(row[USER]))} | {row[RANK]} | {escape(row[TITLE])}"
        f" | {escape(row[EXPLANATION])} | {row[SCORE]:.4f} |"
        for row in shown
    ]
    return "\n".join(lines)


def ledger(calls: pl.DataFrame) -> list[dict[str, Any]]:
    """Calls, tokens and dollars per purpose, model and verdict."""
    return (
        calls.group_by(PURPOSE, MODEL, VERDICT)
        .agg(pl.len().alias("calls"), pl.col(TOKENS_IN, TOKENS_OUT, COST).sum())
        .sort(PURPOSE, MODEL, VERDICT)
        .to_dicts()
    )


def table(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows that Prefect's tables can hold: finite numbers, text that stays text, null."""
    return [{name: _cell(value) for name, value in row.items()} for row in rows]


def _cell(value: object) -> object:
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if value is None or isinstance(value, int | bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    # Names stay as they are: the quality gate compares some of them.
    return escape(text) if _MARKUP.search(text) else text


def images(drawn: pl.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Key, description and `data:` URI of every plot (`columns.FIGURES`)."""
    for caption, svg in drawn.select(CAPTION, SVG).iter_rows():
        data = base64.b64encode(standalone(svg).encode()).decode()
        key = re.sub("[^a-z0-9]+", "-", caption.lower()).strip("-")
        yield f"plot-{key}", alternative(svg), f"data:image/svg+xml;base64,{data}"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in either of Prefect's UIs."""
    text = _LINK.sub(rf"\g<0>{_JOINER}", text)
    return "".join(f"\\{c}" if c in _SPECIAL else " " if c in "\r\n" else c for c in text)
