"""Plots as inline SVG: colours from the page's style sheet, so they follow light and dark mode.

matplotlib draws with placeholder colours that are exchanged for CSS variables, and with text kept
as text. The same data give the same bytes.
"""

import io
import math
import re
from collections.abc import Callable, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from markupsafe import Markup, escape

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    EPOCH,
    LOSS,
    METHOD,
    METRIC,
    NDCG_AT_10,
    PHASE,
    PROTOCOL,
    VALID_NDCG,
    VALUE,
    WEIGHT,
    K,
)
from recsys_core.evaluation.metric_table import metric as metric_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES: Final = 10
"""Colours that the style sheet has; a plot shows no more lines than these."""

_MARKERS: Final = "osD^vPX*<>"
_DASHES: Final = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
"""Marker and dashes tell the lines apart where colours cannot, on paper for one."""
_COLUMNS: Final = 3
"""Of a legend."""
_LONGEST: Final = 28
"""Characters of a name in a legend."""
_WIDE, _HIGH = 300.0, 170.0
"""Points of the axes, about: enough to tell whether two labels meet."""
_LABEL_WIDE, _LABEL_HIGH = 17.0, 10.0
"""Points of a number of two digits."""
_BESIDE: Final = ((5, 5), (5, -12), (-19, 5), (-19, -12), (0, 10), (0, -18), (12, -3), (-26, -3))
"""Where a label may stand beside its point, the first choice first."""
_Label = tuple[str, tuple[float, float], str]
"""Text, point, colour."""
_TEXT: Final = "#010101"
_GRID: Final = "#020202"
_COLOURS: Final = tuple(f"#f0f0{row:02x}" for row in range(SERIES))
_VARIABLES: Final = {_TEXT: "--soft", _GRID: "--rule"} | {
    colour: f"--s{row}" for row, colour in enumerate(_COLOURS)
}
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.size": 11,
    "text.color": _TEXT,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "lines.solid_capstyle": "round",
    "text.parse_math": False,
}


def metric_by_k(
    metrics: pl.DataFrame, protocol: str, metric: str, methods: Sequence[str], ours: Sequence[str]
) -> Markup:
    """One metric against the cut-off, a line per method in the order of `methods`.

    The methods of this run (`ours`) are drawn stronger and with their 95 % interval.
    """
    part = metrics.filter((pl.col(PROTOCOL) == protocol) & (pl.col(METRIC) == metric))
    part = part.drop_nulls(VALUE).sort(K)
    label, same = metric_named(metric).label, coinciding(part, methods)

    def draw(axes: "Axes") -> None:
        for row, method in enumerate(methods[:SERIES]):
            line = part.filter(pl.col(METHOD) == method)
            strong = method in ours
            axes.plot(
                line[K], line[VALUE], color=_COLOURS[row], marker=_MARKERS[row],
                linestyle=_DASHES[row % len(_DASHES)], zorder=3 if strong else 2,
                linewidth=2.6 if strong else 1.5, markersize=5.5 if strong else 4,
                label=_shortened(method),
            )  # fmt: skip
            band = line.drop_nulls([CI_LOW, CI_HIGH])
            if strong and band.height:
                axes.fill_between(
                    band[K], band[CI_LOW], band[CI_HIGH], color=_COLOURS[row], alpha=0.13, lw=0
                )
        axes.set_xticks(part[K].unique().sort().to_list())
        axes.set_ylim(bottom=0)
        axes.set_xlabel("k, length of the list" + (f"\n({same})" if same else ""))
        axes.set_ylabel(f"{label}@k")
        axes.set_title(f"{label} by length of the list", loc="left", fontweight="bold")

    said = f"{label} at each cut-off k: {_last(part, methods)}"
    return _svg(f"{metric}-{protocol}", draw, f"{said}; {same}" if same else said)


def coinciding(part: pl.DataFrame, methods: Sequence[str]) -> str:
    """Which methods have one and the same line, in words; empty where none has.

    Args:
        part: rows of `columns.METRICS` of one protocol and one metric.
        methods: those of the plot.
    """
    lines: dict[tuple[tuple[int, float], ...], list[str]] = {}
    for method in methods[:SERIES]:
        line = part.filter(pl.col(METHOD) == method).sort(K).select(K, VALUE)
        if line.height:
            lines.setdefault(tuple(line.iter_rows()), []).append(method)
    groups = [f"{' and '.join(names)} coincide" for names in lines.values() if len(names) > 1]
    return ", ".join(groups)


def training_curve(curves: pl.DataFrame, column: str) -> Markup:
    """The loss (`LOSS`) or the validation NDCG@10 (`VALID_NDCG`) by epoch, a line per phase."""
    part = curves.drop_nulls(column).filter(pl.col(column).is_finite())
    phases = curves[PHASE].unique(maintain_order=True).to_list()

    def draw(axes: "Axes") -> None:
        for row, phase in enumerate(phases[:SERIES]):
            line = part.filter(pl.col(PHASE) == phase).sort(EPOCH)
            axes.plot(
                line[EPOCH], line[column], color=_COLOURS[row], linewidth=2,
                linestyle=_DASHES[row % len(_DASHES)], label=_shortened(phase),
            )  # fmt: skip
            if column == VALID_NDCG and line.height:
                top = line.row(line[column].arg_max() or 0, named=True)
                axes.plot([top[EPOCH]], [top[column]], "o", color=_COLOURS[row], markersize=6)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.set_title(f"{name} by epoch", loc="left", fontweight="bold")

    name = {LOSS: "Training loss", VALID_NDCG: "NDCG@10 on validation"}.get(column, column)
    ends = f", from {part[column][0]:.4g} to {part[column][-1]:.4g}" if part.height else ""
    return _svg(f"curve-{column}", draw, f"{name} by epoch{ends}")


def trade_off(found: pl.DataFrame, column: str) -> Markup:
    """NDCG@10 against `DIVERSITY` or `CALIBRATION`, a line per method of the last step."""
    methods = found[METHOD].unique(maintain_order=True).to_list()

    def draw(axes: "Axes") -> None:
        weights: list[_Label] = []
        for row, method in enumerate(methods[:SERIES]):
            line = found.filter(pl.col(METHOD) == method).sort(WEIGHT)
            axes.plot(
                line[column], line[NDCG_AT_10], color=_COLOURS[row], marker=_MARKERS[row],
                linestyle=_DASHES[row % len(_DASHES)], label=_shortened(method), markersize=5,
            )  # fmt: skip
            for point in line.filter(pl.int_range(pl.len()) % 3 == 0).iter_rows(named=True):
                at = point[column], point[NDCG_AT_10]
                weights.append((f"{point[WEIGHT]:.1f}", at, _COLOURS[row]))
        _annotate(axes, weights)
        axes.set_xlabel(column.replace("_", " "))
        axes.set_ylabel("NDCG@10")

    ends = [
        f"{method} from {line[NDCG_AT_10][0]:.3f} at {line[column][0]:.3f} to"
        f" {line[NDCG_AT_10][-1]:.3f} at {line[column][-1]:.3f}"
        for method in methods
        for line in [found.filter(pl.col(METHOD) == method).sort(WEIGHT)]
    ]
    return _svg(f"trade-off-{column}", draw, f"NDCG@10 against {column}: {'; '.join(ends)}")


def _annotate(axes: "Axes", labels: Sequence[_Label]) -> None:
    """Texts beside their points, none on another one; what several lines share stands once."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    taken: list[tuple[float, float]] = []
    told: set[tuple[str, int, int]] = set()
    for text, (x, y), colour in labels:
        across, up = (x - left) / (right - left) * _WIDE, (y - low) / (high - low) * _HIGH
        if (place := (text, round(across / 4), round(up / 4))) in told:
            continue
        told.add(place)
        free = [
            (dx, dy) for dx, dy in _BESIDE
            if all(abs(across + dx - a) > _LABEL_WIDE or abs(up + dy - b) > _LABEL_HIGH
                   for a, b in taken)
        ]  # fmt: skip
        dx, dy = (free or _BESIDE)[0]
        taken.append((across + dx, up + dy))
        axes.annotate(
            text, (x, y), xytext=(dx, dy), textcoords="offset points", fontsize=9, color=colour,
            annotation_clip=False,
        )  # fmt: skip


def _last(part: pl.DataFrame, methods: Sequence[str]) -> str:
    """The values at the largest k in words: the text alternative."""
    end = part.filter(pl.col(K) == pl.col(K).max())
    values = dict(zip(end[METHOD], end[VALUE], strict=True))
    named = [f"{name} {values[name]:.3f}" for name in methods[:SERIES] if name in values]
    return f"at k = {end[K][0]} {', '.join(named)}" if named else "no values"


def _add_legend(figure: "Figure", axes: "Axes") -> None:
    """A legend below the axes, where there is more than one line; the figure grows by it."""
    lines = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    if len(lines) > 1:
        figure.set_figheight(figure.get_figheight() + 0.24 * math.ceil(len(lines) / _COLUMNS))
        figure.legend(
            handles=lines, loc="outside lower left", ncols=_COLUMNS, frameon=False, fontsize=9,
            handlelength=3.2,
        )  # fmt: skip


def _shortened(name: str) -> str:
    text = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    # matplotlib leaves a label that begins with an underscore out of the legend.
    return f" {text}" if text.startswith("_") else text


def _svg(name: str, draw: Callable[["Axes"], None], alternative: str) -> Markup:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(5.2, 3.1), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        draw(axes)
        _add_legend(figure, axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _themed(buffer.getvalue(), re.sub(r"[^a-z0-9]+", "-", name.lower()), alternative)


def _themed(svg: str, name: str, alternative: str) -> Markup:
    """Strip what an inline picture does not need, make ids unique, exchange the colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sid="', rf' id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    label = f'<svg class="plot" role="img" aria-label="{escape(alternative)}"'
    opening = re.sub(r'(width|height)="[^"]*" ?', "", svg[: svg.index(">")])
    svg = opening + svg[svg.index(">") :]
    return Markup(svg.replace("<svg", label, 1))  # noqa: S704 - drawn here; the label is escaped


def standalone(svg: str) -> str:
    """The picture with its light colours and a ground of its own, to be shown outside the page."""
    css = resources.files("recsys_core.report").joinpath("templates/report.css").read_text("utf-8")
    colours = css[css.index("{") : css.index("}") + 1].replace("light dark", "light")
    opening, rest = svg.split(">", 1)
    width, tall = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', opening)[0])
    height = round(640 * tall / width)
    # Without a size of its own a picture in an <img> is as wide as the page.
    return (
        f'{opening} width="640" height="{height}" style="background: #ffffff">'
        f"<style>svg {colours}</style>{rest}"
    )


def alternative(svg: str) -> str:
    """What the picture says in words."""
    found = re.search(r'aria-label="([^"]*)"', svg)
    return Markup(found[1]).unescape() if found else ""  # noqa: S704 - taken apart, not shown
