"""The result of a run in one sentence."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from recsys_core.columns import DIFFERENCE, METHOD, P_ADJUSTED, REFERENCE
from recsys_core.evaluation.metrics import NDCG
from recsys_core.report.sections.method_names import GRAPH_METHOD, SERVED_METHOD

LEVEL: Final = 0.05
"""A difference with a smaller adjusted p is called one."""


def verdict(
    values: Mapping[str, Mapping[str, float | None]],
    comparisons: pl.DataFrame,
    judge: str,
    k: int,
) -> str:
    """What is served, what reranking is worth, and how it compares with the best baseline.

    Args:
        values: method -> metric -> mean under the headline protocol.
        comparisons: `columns.COMPARISONS`: own methods against the best baseline.
        judge: the model that reranks, or `rules`.
        k: cut-off.
    """
    ndcg = {name: value for name, one in values.items() if (value := one.get(NDCG)) is not None}
    if not ndcg:
        return "Nothing was held out, so nothing was measured."
    parts = (_served(ndcg, k), _reranking(ndcg, judge, k), _against(ndcg, comparisons))
    text = "; ".join(part for part in parts if part)
    return f"{text}." if text else ""


def _served(ndcg: Mapping[str, float], k: int) -> str:
    if GRAPH_METHOD not in ndcg:
        return ""
    if SERVED_METHOD not in ndcg or not ndcg[GRAPH_METHOD]:
        return "Served lists: the graph model's own"
    change = ndcg[SERVED_METHOD] / ndcg[GRAPH_METHOD] - 1
    if abs(change) < 0.0005:
        return f"Served lists: the graph model's, reordered without a change of NDCG@{k}"
    return f"Served lists: the graph model's, reordered, which changes NDCG@{k} by {change:+.1%}"


def _reranking(ndcg: Mapping[str, float], judge: str, k: int) -> str:
    names = [name for name in ndcg if name.startswith(f"{GRAPH_METHOD}+")]
    if not names or not ndcg.get(GRAPH_METHOD):
        return ""
    change = ndcg[names[0]] / ndcg[GRAPH_METHOD] - 1
    verb = "cost" if change < 0 else "add"
    return f"reranking everybody's by {judge} would {verb} {_percent(change)} of NDCG@{k}"


def _against(ndcg: Mapping[str, float], comparisons: pl.DataFrame) -> str:
    rows: dict[str, dict[str, Any]] = {row[METHOD]: row for row in comparisons.to_dicts()}
    row = rows.get(SERVED_METHOD) or rows.get(GRAPH_METHOD)
    if row is None or not ndcg.get(row[REFERENCE]):
        return ""
    share, p, name = row[DIFFERENCE] / ndcg[row[REFERENCE]], row[P_ADJUSTED], row[REFERENCE]
    said = f"p < {LEVEL / 50:.3f}" if p < LEVEL / 50 else f"p = {p:.3f}"
    if p >= LEVEL:
        return f"no clear difference to {name}, the best baseline ({share:+.1%}, {said})"
    return f"{'better' if share > 0 else 'worse'} than {name}, the best baseline, by {_percent(share)} ({said})"  # noqa: E501


def _percent(share: float) -> str:
    return f"{abs(share):.0%}" if abs(round(share, 3)) >= 0.1 else f"{abs(share):.1%}"
