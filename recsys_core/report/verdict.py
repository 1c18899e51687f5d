"""The result of a run in one sentence."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from recsys_core.columns import CHOSEN, DIFFERENCE, METHOD, P_ADJUSTED, POLICY, REFERENCE
from recsys_core.evaluation.metrics import NDCG
from recsys_core.report.method_names import GRAPH_METHOD, SERVED_METHOD

LEVEL: Final = 0.05
"""A difference with a smaller adjusted p is called one."""


def verdict(
    values: Mapping[str, Mapping[str, float]],
    comparisons: pl.DataFrame,
    policies: pl.DataFrame,
    judge: str,
    k: int,
) -> str:
    """What is served, what reranking is worth, and how it compares with the best baseline.

    Args:
        values: method -> metric -> mean under the headline protocol.
        comparisons: `columns.COMPARISONS`: own methods against the best baseline.
        policies: `columns.POLICIES`: whose lists are reranked.
        judge: the model that reranks, or `rules`.
        k: cut-off.
    """
    ndcg = {name: one[NDCG] for name, one in values.items() if one.get(NDCG) is not None}
    if not ndcg:
        return "Nothing was held out, so nothing was measured."
    parts = [part for part in (_served(policies, judge), _reranking(ndcg, policies, judge, k),
                               _against(ndcg, comparisons)) if part]  # fmt: skip
    return "; ".join(parts) + "." if parts else ""


def _policy(policies: pl.DataFrame) -> str | None:
    chosen = policies.filter(pl.col(CHOSEN))[POLICY].to_list()
    return str(chosen[0]) if chosen else None


def _served(policies: pl.DataFrame, judge: str) -> str:
    kept = "Served lists: the graph model's own"
    return {
        None: kept,
        "none": kept,
        "cold-only": f"Served lists: the graph model's, for cold users reranked by {judge}",
        "all": f"Served lists: the graph model's, reranked by {judge}",
    }.get(_policy(policies), "")


def _reranking(ndcg: Mapping[str, float], policies: pl.DataFrame, judge: str, k: int) -> str:
    names = [name for name in ndcg if name.startswith(f"{GRAPH_METHOD}+")]
    if not names or not ndcg.get(GRAPH_METHOD):
        return ""
    change = ndcg[names[0]] / ndcg[GRAPH_METHOD] - 1
    verb = "cost" if change < 0 else "add"
    if _policy(policies) == "all":
        return f"that {verb}s {_percent(change)} of NDCG@{k}"
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
    return f"{abs(share):.0%}" if abs(share) >= 0.1 else f"{abs(share):.1%}"
