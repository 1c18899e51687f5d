"""What a run shows in Prefect's UI: plain tables, escaped text, pictures that stand alone."""

import base64
import json
import math
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from recsys_core.columns import CAPTION, GROUP, SVG
from tasks.runtime.prefect_artifacts import escape, images, report_link, table


def test_a_table_holds_what_json_can_hold() -> None:
    rows = [{"a": math.inf, "b": math.nan, "c": 1 / 3, "d": None, "e": [1, 2], "f": "x"}]
    (row,) = table(rows)
    assert row == {"a": None, "b": None, "c": 0.333333, "d": None, "e": "[1, 2]", "f": "x"}
    json.dumps(row, allow_nan=False)


def test_titles_are_shown_and_never_rendered() -> None:
    assert escape("[x](http://a) <b>|\n*") == r"\[x\]\(http\://a\) \<b\>\| \*"
    assert escape("javascript:x me@host") == r"javascript\:x me\@host"


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
