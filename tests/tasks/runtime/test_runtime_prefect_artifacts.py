"""What a run shows in Prefect's UI: plain tables, escaped text, pictures that stand alone."""

import base64
import json
import math
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from recsys_core.columns import (
    CAPTION,
    COST,
    GROUP,
    MODEL,
    PURPOSE,
    SVG,
    TOKENS_IN,
    TOKENS_OUT,
    VERDICT,
)
from recsys_core.evaluation.metrics import NDCG
from tasks.runtime.server.prefect_artifacts import (
    cost,
    escape,
    headline_rows,
    images,
    ledger,
    overview,
    report_link,
    report_place,
    table,
)


def test_a_table_holds_what_json_can_hold() -> None:
    rows = [{"a": math.inf, "b": math.nan, "c": 1 / 3, "d": None, "e": [1, 2], "f": "x"}]
    (row,) = table(rows)
    assert row == {"a": None, "b": None, "c": 0.333333, "d": None, "e": r"\[1, 2\]", "f": "x"}
    json.dumps(row, allow_nan=False)


def test_titles_are_shown_and_never_rendered() -> None:
    joiner = "\u2060"  # newer renderers make links of what is escaped, too
    assert escape("[x](http://a) <b>|\n*") == rf"\[x\]\(http{joiner}\://a\) \<b\>\| \*"
    assert escape("javascript:x me@host") == rf"javascript\:x me{joiner}\@host"
    assert escape("see WWW.host.de") == rf"see WWW{joiner}\.host\.de"


@pytest.mark.parametrize(
    "text",
    ["# head", "- item", "+ item", "1. one", "2) two", "---", "_it_", "~~s~~", "&copy;"],
)
def test_a_cell_begins_no_heading_list_or_rule(text: str) -> None:
    ((cell,),) = ([*row.values()] for row in table([{"a": text}]))
    assert cell == escape(text) != text


@pytest.mark.parametrize(
    "name", ["gat_best", "gat+relevancy", "ml-100k", "u-7", "10.5 % of 3", "a&b"]
)
def test_names_stay_as_they_are(name: str) -> None:
    assert table([{"a": name}]) == [{"a": name}]


EVIL = "<img src=x onerror=alert(1)> [a](javascript:b) ![c](//d) `e` https://f @g www.h"


def test_no_cell_of_the_cost_and_the_headline_is_rendered() -> None:
    """Names of models, purposes, methods and data come from configurations and tables."""
    call = {PURPOSE: EVIL, MODEL: EVIL, VERDICT: "ok", TOKENS_IN: 1, TOKENS_OUT: 1, COST: 0.5}
    summary = SimpleNamespace(
        headline={EVIL: {NDCG: 0.5}, "gat+relevancy": {NDCG: 0.4}}, run_name=EVIL, folder=EVIL,
        seconds=1.0, data_source=EVIL, steps=[],
        llm=SimpleNamespace(model=EVIL, calls=1, tokens_in=1, tokens_out=1, cost_usd=0.1),
        config={"split": {}, "seed": 0, "data": {"source": EVIL}},
    )  # fmt: skip
    rows = table([*ledger(pl.DataFrame([call])), *headline_rows(summary)])
    texts = [one for row in rows for one in row.values() if isinstance(one, str)]
    texts += [escape(cost(summary)), overview(summary), report_place(summary)]
    assert sum("onerror" in one for one in texts) >= 6
    for text in texts:
        for mark in ("<img", "[a]", "](", "![", "`e`", "javascript:", "https://f", "@g"):
            assert mark not in text.replace(f"\\{mark[0]}", ""), text
    assert "gat+relevancy" in texts, "a plain name stays as it is, for the gate"


@pytest.mark.parametrize(
    ("place", "link"),
    [
        ("https://runs.example.org/", "https://runs.example.org/one%20run/report.html"),
        ("", None),
    ],
)
def test_the_report_is_linked_where_it_is_served(place, link, monkeypatch) -> None:
    monkeypatch.setenv("RECSYS_RUNS_URL", place)
    summary: Any = SimpleNamespace(folder="/data/runs/one run")
    assert report_link(summary) == link


def test_a_plot_brings_its_own_colours_and_says_what_it_shows() -> None:
    drawing = '<path style="stroke: var(--s0)"/></svg>'
    svg = f'<svg viewBox="0 0 64 32" aria-label="ndcg &amp; more">{drawing}'
    row = {GROUP: "training", CAPTION: "NDCG@10 on the split", SVG: svg}
    ((key, text, uri),) = images(pl.DataFrame([row]))
    assert (key, text) == ("plot-ndcg-10-on-the-split", "ndcg & more")
    drawn = base64.b64decode(uri.removeprefix("data:image/svg+xml;base64,")).decode()
    assert "--s0: #" in drawn
    assert 'width="640"' in drawn
    assert drawn.endswith(drawing)
