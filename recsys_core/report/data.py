"""What the report is made from: the run's summary, its tables, and a few users to look at."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from recsys_core.columns import COMPARISONS, METRICS, PROBE, STRATEGY_COSTS
from recsys_core.report.run_comparison import RunComparison
from recsys_core.report.sections.causes import CausePart
from recsys_core.report.sections.user_lists import UserLists
from recsys_core.report.summary import Summary


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """An item that a user rated in training."""

    title: str
    year: int | None
    rating: float | None
    """None where there are no ratings, only interactions."""


@dataclass(frozen=True, kw_only=True)
class RecommendationRow:
    """One entry of a user's list: its reason, who wrote that, and what it rests on.

    `parts` are the bar of its causes, `without` says where it would stand without them.
    """

    rank: int
    title: str
    year: int | None
    score: float
    explanation: str
    model: str
    causes: Sequence[str] = ()
    parts: Sequence[CausePart] = ()
    without: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class UserSample:
    """One user: what the run knew, what it wrote, what it recommends.

    Attributes:
        user: the id, as the data set has it.
        interactions: number of training interactions; `history` is a choice of them.
        history: best rated first.
        profile: Markdown; empty where there is none.
        profile_model: who wrote the profile.
        recommendations: best first.
    """

    user: int | str
    interactions: int
    history: Sequence[HistoryRow]
    profile: str
    profile_model: str
    recommendations: Sequence[RecommendationRow]


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything the page shows; every table may be empty.

    Attributes:
        summary: names, models, steps, calls, facts, configuration.
        metrics: `columns.METRICS`.
        curves: `columns.CURVES`.
        figures: `columns.FIGURES`, drawn from these metrics and curves.
        calls: `columns.LLM_CALLS`.
        costs: `columns.STRATEGY_COSTS` of the judging; empty where no model judged.
        probe: `columns.PROBE`: what the probe saw on validation, stage by stage.
        reasons: `columns.METRICS` of the reasons, protocol `explanations`.
        comparisons: `columns.COMPARISONS`: this run's methods against the best baseline.
        comparison: this run compared with the one that `compare_to` names.
        not_compared: why they cannot be compared; empty where they can, or none is named.
        samples: users to show.
        lists: every user's list, for the search field.
        ours: methods of this run, the most important first; set off from the baselines.
        rating_max: top of the rating scale, for the bars of a history.
    """

    summary: Summary
    metrics: pl.DataFrame
    curves: pl.DataFrame
    figures: pl.DataFrame
    calls: pl.DataFrame
    costs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(STRATEGY_COSTS)))
    probe: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(PROBE)))
    reasons: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(METRICS)))
    comparisons: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema=dict(COMPARISONS))
    )
    comparison: RunComparison | None = None
    not_compared: str = ""
    samples: Sequence[UserSample] = ()
    lists: UserLists | None = None
    ours: Sequence[str] = ()
    rating_max: float = 5.0
