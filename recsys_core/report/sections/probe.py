"""What the probe saw and cost, in sentences for the summary and the page."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    COST,
    DECISION,
    DIFFERENCE,
    GROUP,
    STAGE,
    SUBJECT,
    USERS,
    VALUE,
)

_SERVED = {
    "serve": "the reranked lists are served",
    "futile": "the graph's lists are served",
    "undecided": "neither a gain nor its absence is shown, so the graph's lists are served",
    "go on": "undecided so far",
}


def probe_lines(probe: pl.DataFrame, calls: pl.DataFrame, model: str, users: int) -> list[str]:
    """A sentence per group, and one about what was saved.

    Args:
        probe: `columns.PROBE`.
        calls: `columns.LLM_CALLS` of the probe's judgements; answers that lay in the cache are not
            among them.
        model: who judged.
        users: all users, of whom the probe judged some.
    """
    last = probe.group_by(GROUP).agg(pl.all().sort_by(STAGE).last()).sort(GROUP)
    cost, asked = float(calls[COST].sum()), calls[SUBJECT].n_unique()
    judged = int(last[USERS].sum())
    spent = f" and ${cost:.2f}" if cost else ""
    lines = [_line(row, model, spent if last.height == 1 else "") for row in last.to_dicts()]
    lines += [f"The probe judged {judged:,} users{spent}."] if last.height > 1 else []
    if cost and asked:
        lines.append(f"Judging everybody would have cost ${cost / asked * users:.2f}.")
    return lines


def agreement_lines(agreement: float | None) -> list[str]:
    """How far repeated rankings of the same candidates agree, where something is repeated."""
    if agreement is None:
        return []
    return [
        f"Repeated rankings of the same candidates agree with a split-half Kendall's tau of"
        f" {agreement:.2f} (0: the model knows nothing about them)."
    ]


def _line(row: dict[str, Any], model: str, spent: str) -> str:
    who = "" if row[GROUP] == "everybody" else f" {row[GROUP]}"
    return (
        f"After {row[USERS]:,}{who} users{spent}: reranking by {model} {_effect(row)};"
        f" {_SERVED[row[DECISION]]}."
    )


def _effect(row: dict[str, Any]) -> str:
    """`costs 6 % (3 to 9)`: the change of NDCG@10 as a share of the graph's."""
    if not row[VALUE]:
        return f"changes NDCG@10 by {row[DIFFERENCE]:+.4f}"
    share = 100 * row[DIFFERENCE] / row[VALUE]
    if round(share, 1) == 0:
        return f"changes nothing at the learned weight{_interval(row, 1)}"
    verb, sign = ("gains", 1) if share > 0 else ("costs", -1)
    return f"{verb} {sign * share:.1f} % of NDCG@10{_interval(row, sign)}"


def _interval(row: dict[str, Any], sign: int) -> str:
    ends = sorted(_ends(row, sign))
    return f" ({ends[0]:.1f} to {ends[1]:.1f})" if len(ends) == 2 else ""


def _ends(row: dict[str, Any], sign: int) -> Iterator[float]:
    for name in (CI_LOW, CI_HIGH):
        if row[name] is not None:
            yield sign * 100 * row[name] / row[VALUE]
