"""The report as one HTML page: nothing from the network, everything escaped, one script.

The script is the search field's. The page's policy names it by its hash, so no other one runs, and
it shows what it finds as text only.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup, escape

from recsys_core.columns import (
    COMPARISONS,
    CURVES,
    FIGURES,
    LLM_CALLS,
    METRICS,
    PROBE,
    STRATEGY_COSTS,
    check,
)
from recsys_core.evaluation.metric_table import metric
from recsys_core.report import figures
from recsys_core.report import view_models as views
from recsys_core.report.data import ReportData
from recsys_core.report.sections import explanation_tables as reasons
from recsys_core.report.sections import user_lists
from recsys_core.report.sections.method_names import meaning
from recsys_core.report.sections.verdict import verdict
from recsys_core.report.summary import HEADLINE_K, HEADLINE_PROTOCOL, headline

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATE: Final = "report.html.j2"
_SCRIPT: Final = "templates/search.js"


def render(data: ReportData) -> str:
    """The page `report.html` of a run; the same data give the same text.

    Raises:
        DataError: a table breaks its schema.
    """
    check(data.metrics, METRICS, table="metrics")
    check(data.curves, CURVES, table="curves")
    check(data.calls, LLM_CALLS, table="llm_calls")
    check(data.figures, FIGURES, table="figures")
    check(data.reasons, METRICS, table="reasons")
    check(data.probe, PROBE, table="probe")
    check(data.costs, STRATEGY_COSTS, table="costs")
    check(data.comparisons, COMPARISONS, table="comparisons")
    return environment().get_template(_TEMPLATE).render(**_context(data))


def environment() -> "Environment":
    """The templates of all pages: everything escaped, nothing undefined."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("recsys_core.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        flat=views.flat,
        blocks=views.profile_blocks,
        seconds=_seconds,
        label=lambda name: metric(name).label,
        meaning=meaning,
        breakable=_breakable,
        with_code=_with_code,
    )
    return found


def _context(data: ReportData) -> dict[str, Any]:
    tables = _tables(data)
    first = tables[0]["rows"] if tables else []
    script = resources.files("recsys_core.report").joinpath(_SCRIPT).read_text("utf-8")
    series = figures.series(data.metrics, data.ours)
    return {
        "summary": data.summary,
        "shown": views.ACCURACY,
        "beyond_shown": views.BEYOND_ACCURACY,
        "beyond": _beyond(data),
        "headline_k": HEADLINE_K,
        "tables": tables,
        "tiles": _tiles(first),
        "series": series,
        "hidden": max(len(first) - len(series), 0),
        "ours": set(data.ours),
        "by_k": figures.pictures(data.figures, figures.BY_CUTOFF),
        "training": figures.pictures(data.figures, figures.TRAINING),
        "slowest": max((step.seconds for step in data.summary.steps), default=0.0) or 1.0,
        "calls": views.call_rows(data.calls),
        "costs": reasons.cost_rows(data.costs, data.metrics, HEADLINE_PROTOCOL, HEADLINE_K),
        "probe": data.probe.to_dicts(),
        "trade_off": figures.pictures(data.figures, figures.TRADE_OFF),
        "reasons": reasons.tables(data.reasons),
        "samples": data.samples,
        "verdict": verdict(
            headline(data.metrics),
            data.comparisons,
            data.summary.models.get("llm", "rules"),
            HEADLINE_K,
        ),
        "comparisons": data.comparisons.to_dicts(),
        "comparison": data.comparison,
        "not_compared": data.not_compared,
        "lists": data.lists,
        "list_files": user_lists.file_count(data.lists) if data.lists else 0,
        "list_folder": user_lists.FOLDER,
        "script": script,
        "script_hash": b64encode(sha256(script.encode()).digest()).decode(),
        "rating_max": data.rating_max,
    }


def _tables(data: ReportData) -> list[dict[str, Any]]:
    """One table per protocol, the headline protocol first, cold users after all users."""
    names = views.protocols(data.metrics)
    names.sort(key=lambda name: name != HEADLINE_PROTOCOL)
    found = []
    for name in names:
        k = figures.table_k(data.metrics, name)
        rows = views.method_rows(data.metrics, name, k, data.ours)
        found.append({"protocol": name, "k": k, "rows": rows})
    return [table for table in found if table["rows"]]


def _beyond(data: ReportData) -> dict[str, Any] | None:
    """The metrics beyond accuracy, in the order of the methods of the first table of results."""
    k = figures.table_k(data.metrics)
    rows = views.method_rows(
        data.metrics, HEADLINE_PROTOCOL, k, data.ours, shown=views.BEYOND_ACCURACY
    )
    order = [row.method for row in views.method_rows(data.metrics, HEADLINE_PROTOCOL, k, data.ours)]
    rows.sort(key=lambda row: order.index(row.method) if row.method in order else len(order))
    return {"protocol": HEADLINE_PROTOCOL, "k": k, "rows": rows} if rows else None


def _tiles(rows: Sequence[views.MethodRow]) -> dict[str, views.MethodRow | None]:
    """The best method of this run and the best of the others, where there are such."""
    own = next((row for row in rows if row.ours), None)
    other = next((row for row in rows if not row.ours), None)
    return {"own": own, "other": other}


def _seconds(value: float) -> str:
    if value < 100:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _breakable(name: str) -> Markup:
    """A long key that may be broken after a dot or an underscore, and nowhere else."""
    parts = re.split(r"(?<=[._])", name)
    return Markup("<wbr>").join(escape(part) for part in parts)


def _with_code(sentence: str) -> Markup:
    """A sentence whose names in backticks stand as code, everything escaped."""
    parts = [escape(part) for part in sentence.split("`")]
    if len(parts) % 2 == 0:  # a lone backtick is one
        return escape(sentence)
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(one) if at % 2 else one for at, one in enumerate(parts))
