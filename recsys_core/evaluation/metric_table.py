"""Every metric, once: its name, its function, over whom it averages, where it is shown.

The evaluation, the tables and plots of the reports and the console follow from `METRICS`. A new
metric is a function in `metrics` or `list_properties` and an entry here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from recsys_core.errors import ConfigError
from recsys_core.evaluation import list_properties as lists
from recsys_core.evaluation import metrics as ranking
from recsys_core.evaluation.metrics import Bools, Floats, Hits, Ints, hits_of

Users = Literal["all", "with_relevant", "with_kept", "with_hit"]
"""Who counts in a mean: every test user; those with a relevant test item; under `condensed`, those
with a test item in their list, or with a hit."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What every metric has.

    Attributes:
        name: in the metrics table.
        label: in reports.
        meaning: one sentence for a reader of the report.
        higher_is_better: whether the highest value of a column is marked as the best.
        shown: the table of the report that has it; None for none.
        plotted: whether the report draws it against the cut-off.
    """

    name: str
    label: str
    meaning: str
    higher_is_better: bool = True
    shown: Literal["accuracy", "beyond accuracy"] | None
    plotted: bool = False


@dataclass(frozen=True, kw_only=True)
class RankingMetric(Metric):
    """A metric of hits: needs relevant items.

    Attributes:
        function: hits -> (n_users, n_cutoffs).
        full: who counts under protocol `full`.
        condensed: who counts under protocol `condensed`.
    """

    function: Callable[[Hits], Floats]
    shown: Literal["accuracy", "beyond accuracy"] | None = "accuracy"
    full: Users = "with_relevant"
    condensed: Users = "with_relevant"


@dataclass(frozen=True, kw_only=True)
class ListMetric(Metric):
    """A metric of the lists alone.

    Attributes:
        function: lists -> (n_users, n_cutoffs), or (n_cutoffs,) for all lists together.
        per_user: which of the two; a value for all lists together has no interval.
        needs_vectors: whether it needs vectors of the items.
    """

    function: Callable[[lists.Lists], Floats]
    shown: Literal["accuracy", "beyond accuracy"] | None = "beyond accuracy"
    per_user: bool
    needs_vectors: bool = False


METRICS: Final[tuple[Metric, ...]] = (
    RankingMetric(
        name=ranking.NDCG, label="NDCG", function=ranking.ndcg, condensed="with_kept", plotted=True,
        meaning="Liked items near the top count most; 1 is a perfect order.",
    ),
    RankingMetric(
        name=ranking.PRECISION, label="Precision", function=ranking.precision, full="all",
        condensed="with_kept", plotted=True, meaning="Share of the list that the user liked.",
    ),
    RankingMetric(
        name=ranking.RECALL, label="Recall", function=ranking.recall, plotted=True,
        meaning="Share of the items the user liked that the list has.",
    ),
    RankingMetric(
        name=ranking.MAP, label="MAP", function=ranking.average_precision, condensed="with_hit",
        plotted=True, meaning="Mean precision at the ranks of the liked items.",
    ),
    RankingMetric(
        name=ranking.MRR, label="MRR", function=ranking.reciprocal_rank, condensed="with_kept",
        meaning="1 / rank of the first liked item.",
    ),
    RankingMetric(
        name=ranking.HIT_RATE, label="Hit rate", function=ranking.hit_rate,
        meaning="Share of the users with at least one liked item in the list.",
    ),
    ListMetric(
        name=lists.COVERAGE, label="Coverage", function=lists.coverage, per_user=False,
        meaning="Share of all items that are in somebody's list.",
    ),
    ListMetric(
        name=lists.GINI, label="Gini", function=lists.gini, per_user=False, higher_is_better=False,
        meaning="How unequally items are recommended: 0 all alike, 1 one item only.",
    ),
    ListMetric(
        name=lists.NOVELTY, label="Novelty", function=lists.novelty, per_user=True,
        meaning="How little known the listed items are, in bits.",
    ),
    ListMetric(
        name=lists.DIVERSITY, label="Diversity", function=lists.diversity, per_user=True,
        needs_vectors=True, meaning="How different the items of one list are in genre, 0 to 1.",
    ),
)  # fmt: skip

RANKING: Final = tuple(one for one in METRICS if isinstance(one, RankingMetric))
LISTS: Final = tuple(one for one in METRICS if isinstance(one, ListMetric))


def metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        ConfigError: there is none.
    """
    names = [one.name for one in METRICS]
    if name not in names:
        near = get_close_matches(name, names, 1)
        raise ConfigError(
            f"No metric is called {name!r}.",
            expected=f"one of {', '.join(names)}.",
            fix=f"write {near[0]!r}." if near else "",
        )
    return METRICS[names.index(name)]


def shown_in(table: Literal["accuracy", "beyond accuracy"]) -> tuple[Metric, ...]:
    """The metrics of one table of the report, in its order."""
    return tuple(one for one in METRICS if one.shown == table)


def accuracy(
    relevant: Bools, n_relevant: Ints, cutoffs: Sequence[int], *, rated: Bools | None = None
) -> dict[str, Floats]:
    """Every ranking metric of every user at every cut-off; arguments as for `hits_of`.

    Returns:
        Metric name -> (n_users, n_cutoffs); 0 where the denominator is 0.
    """
    hits = hits_of(relevant, n_relevant, cutoffs, rated=rated)
    return {one.name: one.function(hits) for one in RANKING}
