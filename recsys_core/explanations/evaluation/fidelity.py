"""Whether reasons cite what made the recommendation: measures that take ratings away.

Of a reason that cites m liked titles, with drops as in `UserHistory.drops` (the score of the
recommended item less its score without the title, both by fold-in):

- `cites_strongest`: share of the cited that are among the m liked titles of the largest drop.
- `cites_top_3`: share of the cited that are among the three of the largest drop.
- `drop_percentile`: share of the other liked titles with a smaller drop, averaged over the cited.
- `negative_causes`: share of the cited without which the score would be higher.
- `places_lost`: places the item falls without the cited titles; `places_lost_random` without as
  many random liked ones, `places_lost_best` without the m of the largest drop; `places_kept_up` is
  the first divided by the last, over all reasons.

Of the attribution itself, for the recommended item and all ratings of the user ordered by drop:

- `comprehensiveness`, `sufficiency`: how much lower the score is without the m strongest ratings,
  and with them alone, in standard deviations of the user's scores (m = 5; DeYoung et al., "ERASER",
  ACL 2020). The first should be high, the second low.
- `pos_p_at_5`, `neg_p_at_5`: the share of the way on which the item stays among the first five
  while ratings are taken away in ten equal steps, the strongest first or the weakest first (POS-P@K
  and NEG-P@K of SPINRec, Barkan et al. 2025, after LXR, Barkan et al., WWW 2024). The first should
  be low, the second high.
- `deletion`, `insertion`: the mean of score / score with all ratings on the way of taking the
  strongest away first (DEL), and of adding them first (INS); scores count from that of a user
  without ratings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_core import columns as c
from recsys_core.explanations.attribution.attribute import KnownUsers, one_thread
from recsys_core.explanations.attribution.causes import places_of
from recsys_core.explanations.evaluation.metrics import EXPLANATIONS, average_per_user
from recsys_core.graph.inference.counterfactual import Bools, Counterfactuals, UserHistory
from recsys_core.graph.interaction_graph import Edges, Floats, Indices

CITES_STRONGEST: Final = "cites_strongest"
CITES_TOP_3: Final = "cites_top_3"
DROP_PERCENTILE: Final = "drop_percentile"
NEGATIVE_CAUSES: Final = "negative_causes"
PLACES_LOST: Final = "places_lost"
PLACES_LOST_RANDOM: Final = "places_lost_random"
PLACES_LOST_BEST: Final = "places_lost_best"
PLACES_KEPT_UP: Final = "places_lost_share_of_best"
COMPREHENSIVENESS: Final = "comprehensiveness"
SUFFICIENCY: Final = "sufficiency"
POS_P: Final = "pos_p_at_5"
NEG_P: Final = "neg_p_at_5"
DELETION: Final = "deletion"
INSERTION: Final = "insertion"

OF_REASONS: Final = (
    CITES_STRONGEST, CITES_TOP_3, DROP_PERCENTILE, NEGATIVE_CAUSES, PLACES_LOST,
    PLACES_LOST_RANDOM, PLACES_LOST_BEST,
)  # fmt: skip
OF_ATTRIBUTION: Final = (COMPREHENSIVENESS, SUFFICIENCY, POS_P, NEG_P, DELETION, INSERTION)
_MEASURES: Final = dict.fromkeys((*OF_REASONS, *OF_ATTRIBUTION), pl.Float64)
FIDELITY_METRICS: Final = (*OF_REASONS, PLACES_KEPT_UP, *OF_ATTRIBUTION)
_STEPS: Final = 10
"""Steps in which all ratings are taken away, or added."""
_STRONGEST: Final = 5
"""Ratings that comprehensiveness and sufficiency look at."""
_FIRST: Final = 5
"""Places that POS-P and NEG-P watch."""
_CURVES_OF: Final = 1
"""First entries of each list whose curves are drawn, as in the literature."""


@dataclass(frozen=True, kw_only=True)
class CitedTitles:
    """A reason's row: the recommended item, its rank, and the liked titles it cites, by number."""

    item: int
    rank: int
    cited: tuple[int, ...]


def fidelity_of_user(
    history: UserHistory,
    reasons: Sequence[CitedTitles],
    hidden: Bools,
    rng: np.random.Generator,
    order: Floats | None = None,
) -> list[dict[str, float]]:
    """A row of measures for each of a user's reasons; NaN where one does not apply.

    Args:
        history: the user.
        reasons: of the user's list.
        hidden: (n_items,) which are not recommended to this user.
        rng: of the random titles.
        order: (n, n_reasons) what to order ratings by for the curves; by default their drops.
    """
    items = np.array([one.item for one in reasons], np.int64)
    parts = history.parts(np.concatenate([history.whole, history.without_each()]))
    own = parts.scores(items)
    drops = own[0] - own[1:]
    places = {int(item): at for at, item in enumerate(history.items)}
    liked = np.flatnonzero(history.liked)
    found = []
    for column, reason in enumerate(reasons):
        cited = np.array([places[one] for one in reason.cited if one in places], np.int64)
        row = dict.fromkeys((*OF_REASONS, *OF_ATTRIBUTION), np.nan)
        if len(cited) and len(cited) == len(reason.cited):
            row |= _ranks(drops[:, column], liked, cited)
            row |= _places_lost(history, reason.item, drops[:, column], liked, cited, hidden, rng)
        if reason.rank <= _CURVES_OF and len(history) > 1:
            by = drops[:, column] if order is None else order[:, column]
            row |= curves(history, reason.item, np.argsort(-by, kind="stable"), hidden)
        found.append(row)
    return found


def _ranks(drops: Floats, liked: Indices, cited: Indices) -> dict[str, float]:
    ranked = liked[np.argsort(-drops[liked], kind="stable")]
    smaller = [(drops[liked] < drops[one]).sum() for one in cited]
    others = len(liked) - 1
    return {
        CITES_STRONGEST: float(np.isin(cited, ranked[: len(cited)]).mean()),
        CITES_TOP_3: float(np.isin(cited, ranked[:3]).mean()),
        DROP_PERCENTILE: float(np.mean(smaller) / others) if others else np.nan,
        NEGATIVE_CAUSES: float((drops[cited] < 0).mean()),
    }


def _places_lost(
    history: UserHistory,
    item: int,
    drops: Floats,
    liked: Indices,
    cited: Indices,
    hidden: Bools,
    rng: np.random.Generator,
) -> dict[str, float]:
    best = liked[np.argsort(-drops[liked], kind="stable")[: len(cited)]]
    drawn = rng.permutation(liked)[: len(cited)]
    kept = np.repeat(history.whole, 4, axis=0)
    for row, taken in enumerate((cited, drawn, best), 1):
        kept[row, taken] = False
    places = _places(history, kept, item, hidden)
    lost = places[1:] - places[0]
    names = (PLACES_LOST, PLACES_LOST_RANDOM, PLACES_LOST_BEST)
    return dict(zip(names, map(float, lost), strict=True))


def _places(history: UserHistory, kept: Bools, item: int, hidden: Bools) -> Indices:
    scores = history.scores(kept)
    scores[:, hidden] = -np.inf
    return places_of(scores, np.array([item]))[:, 0].astype(np.int64)


def curves(history: UserHistory, item: int, order: Indices, hidden: Bools) -> dict[str, float]:
    """The measures that follow an order of all ratings, the strongest first."""
    n = len(order)
    counts = np.round(np.linspace(0, n, _STEPS + 1)).astype(np.int64)
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    few = min(_STRONGEST, n)
    kept = np.concatenate([
        rank[None] >= counts[:, None],          # the strongest taken away first
        rank[None] < n - counts[:, None],       # the weakest taken away first
        rank[None] < counts[:, None],           # the strongest added first
        [rank >= few, rank < few],
    ])  # fmt: skip
    scores = history.scores(kept)
    own = scores[:, item].copy()
    spread = max(float(scores[0].std()), 1e-12)
    scores[:, hidden] = -np.inf
    first = places_of(scores, np.array([item]))[:, 0] <= _FIRST
    steps = _STEPS + 1
    full, empty = own[0], own[steps - 1]
    # An item that scores no higher than without ratings has no share of a gain to be measured.
    whole = full - empty if full - empty > 1e-9 else np.nan
    return {
        POS_P: float(first[1:steps].mean()),
        NEG_P: float(first[steps + 1 : 2 * steps].mean()),
        DELETION: float(np.mean(own[:steps] - empty) / whole),
        INSERTION: float(np.mean(own[2 * steps : 3 * steps] - empty) / whole),
        COMPREHENSIVENESS: float((full - own[-2]) / spread),
        SUFFICIENCY: float((full - own[-1]) / spread),
    }


def measure_fidelity(
    model: Counterfactuals,
    known: KnownUsers,
    recommendations: pl.DataFrame,
    *,
    users: int,
    barred: Indices,
    seen: Edges,
    seed: int,
    on_user: Callable[[int], None] | None = None,
) -> pl.DataFrame:
    """Measure the reasons of a sample of users.

    Args:
        model: the trained model.
        known: the users.
        recommendations: USER, ITEM, RANK and LIKED_EVIDENCE.
        users: how many are drawn.
        barred: numbers of items that are recommended to nobody.
        seen: pairs that lists leave out.
        seed: of the users drawn, and of the random titles.
        on_user: called with the number of users done.

    Returns:
        USER, ITEM, RANK and a column per measure, a row per reason.
    """
    ids = recommendations[c.USER].unique().sort()
    rng = np.random.default_rng(seed)
    drawn = ids.gather(np.sort(rng.permutation(ids.len())[:users]))
    numbers = pl.DataFrame({c.USER: known.ids}).with_row_index(c.USER_INDEX)
    places = dict(zip(model.fitted.graph.item_ids, range(model.fitted.graph.n_items), strict=True))
    wanted = drawn.alias(c.USER).to_frame().join(numbers, on=c.USER, maintain_order="left")
    histories = model.users(
        known.shown, known.profiles, known.attributes,
        wanted[c.USER_INDEX].to_numpy().astype(np.int64),
    )  # fmt: skip
    rows = recommendations.sort(c.USER, c.RANK).partition_by(c.USER, as_dict=True)
    left_out = seen.by_user()
    starts = np.searchsorted(left_out.users, np.arange(known.ids.len() + 1))
    measured = []
    with one_thread():
        for done, ((user, number), history) in enumerate(
            zip(wanted.select(c.USER, c.USER_INDEX).iter_rows(), histories, strict=True), 1
        ):
            own = rows[user,]
            hidden = np.zeros(model.fitted.graph.n_items, np.bool_)
            hidden[barred] = True
            hidden[left_out.items[starts[number] : starts[number + 1]]] = True
            reasons = [
                CitedTitles(
                    item=places[item], rank=rank, cited=tuple(places[one] for one in cited or ())
                )
                for item, rank, cited in own.select(c.ITEM, c.RANK, c.LIKED_EVIDENCE).iter_rows()
            ]
            hidden[[one.item for one in reasons]] = False
            found = fidelity_of_user(history, reasons, hidden, rng)
            frame = pl.DataFrame(found, schema=_MEASURES)
            measured.append(own.select(c.USER, c.ITEM, c.RANK).hstack(frame))
            if on_user is not None:
                on_user(done)
    empty = recommendations.clear().select(c.USER, c.ITEM, c.RANK)
    empty = empty.hstack(pl.DataFrame(schema=_MEASURES))
    return pl.concat([empty, *measured])


def fidelity_table(
    rows: pl.DataFrame, *, method: str, cutoffs: Sequence[int], bootstrap: int, seed: int
) -> pl.DataFrame:
    """`columns.METRICS` with protocol `explanations`.

    Args:
        rows: USER, RANK and a column per measure, a row per reason.
        method: name in the table.
        cutoffs: how many first entries of each list count.
        bootstrap: resamples of users for the intervals.
        seed: of the resamples.
    """
    tables = []
    for k in cutoffs:
        names = (*OF_REASONS, *OF_ATTRIBUTION)
        tables.append(average_per_user(rows, names, method, k, bootstrap, seed))
        tables.append(_kept_up(rows.filter(pl.col(c.RANK) <= k), method, k, bootstrap, seed))
    return pl.concat(tables)


def _kept_up(rows: pl.DataFrame, method: str, k: int, bootstrap: int, seed: int) -> pl.DataFrame:
    """Places lost divided by those of the best choice: a ratio of sums over users."""
    sums = (
        rows.filter(pl.col(PLACES_LOST).is_not_nan())
        .group_by(c.USER)
        .agg(pl.col(PLACES_LOST, PLACES_LOST_BEST).sum())
        .sort(c.USER)
    )
    lost, best = (sums[name].to_numpy() for name in (PLACES_LOST, PLACES_LOST_BEST))
    value = lost.sum() / best.sum() if len(best) and best.sum() else None
    low = high = None
    if value is not None and bootstrap:
        drawn = np.random.default_rng(seed).integers(0, len(lost), (bootstrap, len(lost)))
        totals = best[drawn].sum(1)
        ratios = lost[drawn].sum(1)[totals != 0] / totals[totals != 0]
        low, high = (float(one) for one in np.quantile(ratios, (0.025, 0.975)))
    row: dict[str, Any] = {
        c.METHOD: method, c.PROTOCOL: EXPLANATIONS, c.K: k, c.METRIC: PLACES_KEPT_UP,
        c.VALUE: value, c.CI_LOW: low, c.CI_HIGH: high, c.USERS: len(lost),
    }  # fmt: skip
    return pl.DataFrame([row], schema=dict(c.METRICS))
