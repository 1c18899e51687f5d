"""Tables of the explanation metrics and of the cost of reranking, as the page shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    METHOD,
    METRIC,
    PROTOCOL,
    STRATEGY,
    USERS,
    VALUE,
    K,
)
from recsys_core.evaluation.metrics import NDCG

MEANINGS: Final[Mapping[str, str]] = {
    "grounded": "Share of the reasons in which every claim holds: the title has each attribute"
    " they name, and the user liked each title they cite.",
    "specific": "How many of 50 other recommended titles a reason would not fit, as a share.",
    "personal": "How many of 50 other users a reason would not be true for, as a share.",
    "dislikes_respected": "Share of the reasons that name nothing the user dislikes; users with"
    " known dislikes.",
    "readable": "Share of the reasons that are one clean sentence of 5 to 40 words.",
    "unsupported_claims": "False claims among all claims; here less is better.",
    "numbers_verified": "Share of the reasons with numbers of people in which each is right,"
    " counted anew.",
    "false_absences": "Share of the reasons that say nothing of the reader's liking is known, to a"
    " reader of whom some is; here less is better.",
    "cites_strongest": "Share of the cited titles that are the strongest causes: no other liked"
    " title would cost the score more. A sample of users, as are all below.",
    "cites_top_3": "Share of the cited titles that are among the three strongest causes.",
    "drop_percentile": "Share of the other liked titles that would cost the score less than a cited"
    " one.",
    "negative_causes": "Share of the cited titles without which the score would be higher; here"
    " less is better.",
    "places_lost": "Places the title falls if the cited titles are taken away.",
    "places_lost_random": "... if as many liked titles at random are.",
    "places_lost_best": "... if the strongest causes, as many, are.",
    "places_lost_share_of_best": "Places lost divided by those that the strongest causes cost.",
    "comprehensiveness": "How much lower the score of the first title is without the five strongest"
    " ratings, in standard deviations of the user's scores; more is better.",
    "sufficiency": "... and with these five alone; less is better.",
    "pos_p_at_5": "How long the first title stays among the first five while ratings are taken"
    " away, the strongest first, as a share of the way; less is better.",
    "neg_p_at_5": "... the weakest first; more is better.",
    "deletion": "Mean share of the score that is left while ratings are taken away, the strongest"
    " first; less is better.",
    "insertion": "... that is reached while they are added, the strongest first; more is better.",
    "judge_supported": "Share of the reasons of which the judging model found everything shown in"
    " the data.",
    "judge_convincing": "How convincing the judging model found them, from 0 to 1.",
}
"""A sentence per measure."""


@dataclass(frozen=True, kw_only=True)
class MeasureRow:
    """One measure of the reasons; None where it applies to nobody or was not computed."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    users: int
    meaning: str


def tables(metrics: pl.DataFrame) -> list[dict[str, Any]]:
    """A table per writer (or judge), at the longest cut-off measured for it.

    Args:
        metrics: `columns.METRICS` of reasons alone.
    """
    found = []
    for method in metrics[METHOD].unique(maintain_order=True):
        part = metrics.filter(pl.col(METHOD) == method)
        part = part.filter(pl.col(K) == pl.col(K).max())
        rows = [_measure(row) for row in part.iter_rows(named=True)]
        found.append({"method": method, "k": part[K][0], "rows": rows})
    return found


def _measure(row: Mapping[str, Any]) -> MeasureRow:
    return MeasureRow(
        name=row[METRIC].replace("_", " ").capitalize(), value=row[VALUE], low=row[CI_LOW],
        high=row[CI_HIGH], users=row[USERS], meaning=MEANINGS.get(row[METRIC], ""),
    )  # fmt: skip


def cost_rows(
    costs: pl.DataFrame, metrics: pl.DataFrame, protocol: str, k: int
) -> list[dict[str, Any]]:
    """Rows of `columns.STRATEGY_COSTS`, each with the NDCG@k of its lists where it was measured.

    Args:
        costs: `columns.STRATEGY_COSTS`.
        metrics: `columns.METRICS`; a method named `...+STRATEGY` is the strategy's.
        protocol: whose NDCG.
        k: the cut-off.
    """
    measured = metrics.filter(
        (pl.col(PROTOCOL) == protocol) & (pl.col(K) == k) & (pl.col(METRIC) == NDCG)
    )
    values = dict(measured.select(METHOD, VALUE).iter_rows())
    return [
        {**row, NDCG: next((value for method, value in values.items()
                              if method.endswith(f"+{row[STRATEGY]}")), None)}
        for row in costs.iter_rows(named=True)
    ]  # fmt: skip
