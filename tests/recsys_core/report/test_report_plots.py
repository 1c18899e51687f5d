"""Plots: lines that are told apart without colours, labels that do not lie on each other."""

import re

import polars as pl
import pytest

from recsys_core.columns import CALIBRATION, DIVERSITY, METHOD, NDCG_AT_10, WEIGHT
from recsys_core.report import figures, plots


@pytest.fixture
def found() -> pl.DataFrame:
    """Two methods that begin at one point; near it their curves are one."""
    weights = [step / 10 for step in range(10)]
    rows = [
        (method, weight, 0.27 - slope * weight**4, 0.7 + 0.2 * slope * weight, 0.7 - 0.5 * weight)
        for method, slope in (("mmr", 0.06), ("calibration", 0.05)) for weight in weights
    ]  # fmt: skip
    names = [METHOD, WEIGHT, NDCG_AT_10, DIVERSITY, CALIBRATION]
    return pl.DataFrame(rows, schema=names, orient="row")


@pytest.mark.parametrize("column", [DIVERSITY, CALIBRATION])
def test_weights_stand_beside_their_points_and_not_on_each_other(
    found: pl.DataFrame, column: str
) -> None:
    svg = plots.trade_off(found, column)
    texts = re.findall(r"<text[^>]*?fill: var\(--s\d\)[^>]*?>([\d.]+)</text>", svg)
    assert texts.count("0.0") == 1, "both methods begin there"
    assert {"0.3", "0.6", "0.9"} <= set(texts)
    placed = re.findall(r'<text[^>]*var\(--s\d\)[^>]* x="([\d.]+)" y="([\d.]+)"', svg)
    places = [(float(x), float(y)) for x, y in placed]
    assert len(places) == len(texts)
    for at, (x, y) in enumerate(places):
        assert all(abs(x - a) > 12 or abs(y - b) > 7 for a, b in places[:at]), places


def test_methods_are_told_apart_without_colours_and_named_once(found: pl.DataFrame) -> None:
    svg = plots.trade_off(found, DIVERSITY)
    assert svg.count(">calibration</text>") == 1
    assert svg.count("stroke-dasharray") >= 2, "a dashed line, in the plot and in the legend"


@pytest.mark.parametrize("unknown", [float("nan"), None])
def test_a_measure_that_lists_lack_has_no_plot(found: pl.DataFrame, unknown: float | None) -> None:
    """Items without genres have no calibration error."""
    without = found.with_columns(pl.lit(unknown, pl.Float64).alias(CALIBRATION))
    drawn = [svg for _, _, svg in figures._trade_off(without)]
    assert drawn == [plots.trade_off(without, DIVERSITY)]
    part = pl.when(pl.col(WEIGHT) < 0.5).then(pl.lit(unknown)).otherwise(CALIBRATION)
    _, (_, _, svg) = figures._trade_off(found.with_columns(part.alias(CALIBRATION)))
    assert "nan" not in svg.lower()
