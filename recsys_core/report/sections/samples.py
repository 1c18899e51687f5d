"""The users whose lists the report shows: from the shortest to the longest history."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from recsys_core.columns import (
    ATTRIBUTE_EVIDENCE,
    EXPLANATION,
    ITEM,
    LIKED_EVIDENCE,
    MARKDOWN,
    MODEL,
    RANK,
    RATING,
    SCORE,
    TITLE,
    USER,
    YEAR,
)
from recsys_core.interactions.order import order_column
from recsys_core.report.data import HistoryRow, RecommendationRow, UserSample
from recsys_core.report.sections.causes import ListCauses
from recsys_core.report.sections.user_lists import causes_of

_COUNT = "count"


def samples(
    recommendations: pl.DataFrame,
    profiles: pl.DataFrame,
    train: pl.DataFrame,
    items: pl.DataFrame,
    attributions: pl.DataFrame | None = None,
    *,
    implicit: bool = False,
    users: int = 6,
    history: int = 12,
    listed: int = 8,
) -> list[UserSample]:
    """Users evenly spread over the number of training interactions, fewest first.

    Args:
        recommendations: `columns.RECOMMENDATIONS`; only users in it are shown.
        profiles: `columns.USER_PROFILES`.
        train: `columns.INTERACTIONS` that profiles and model were made from.
        items: `columns.ITEMS`.
        attributions: `columns.ATTRIBUTIONS`; None shows no causes.
        implicit: whether what people like is what they chose.
        users: how many to show at most.
        history: rated items per user at most; a long history keeps its best and its worst.
        listed: recommendations per user at most.
    """
    chosen = _spread(recommendations[USER].unique(), train, users)
    causes = None
    if attributions is not None:
        own = pl.Series(USER, [user for user, _ in chosen], recommendations.schema[USER])
        causes = ListCauses(
            attributions.filter(pl.col(USER).is_in(own.implode())), implicit=implicit
        )
    known = train.join(items.select(ITEM, TITLE, YEAR), on=ITEM, how="left")
    years, titles = items.select(ITEM, YEAR), dict(items.select(ITEM, TITLE).iter_rows())
    return [
        UserSample(
            user=user,
            interactions=count,
            history=_history(known.filter(pl.col(USER) == user), history),
            profile=_first(profiles, user, MARKDOWN),
            profile_model=_first(profiles, user, MODEL),
            recommendations=_listed(
                recommendations.filter(pl.col(USER) == user),
                years,
                titles,
                listed,
                causes,
                implicit,
            ),
        )
        for user, count in chosen
    ]


def _spread(ids: pl.Series, train: pl.DataFrame, users: int) -> list[tuple[int | str, int]]:
    counts = train.group_by(USER).agg(pl.len().alias(_COUNT))
    ordered = (
        ids.to_frame()
        .join(counts, on=USER, how="left")
        .with_columns(pl.col(_COUNT).fill_null(0))
        .sort(_COUNT, USER)
    )
    last, shown = ordered.height - 1, min(users, ordered.height)
    rows = [round(step * last / max(shown - 1, 1)) for step in range(shown)]
    return [ordered.row(row) for row in rows]


def _history(rows: pl.DataFrame, limit: int) -> list[HistoryRow]:
    order = rows.sort(
        [RATING, order_column(rows), ITEM], descending=[True, True, False], nulls_last=True
    ).select(pl.col(TITLE).fill_null("(unknown item)"), YEAR, RATING)
    worst = min(limit // 4, max(order.height - limit, 0))
    kept = pl.concat([order.head(limit - worst), order.tail(worst)])
    return [HistoryRow(title=t, year=y, rating=r) for t, y, r in kept.iter_rows()]


def _listed(
    rows: pl.DataFrame,
    years: pl.DataFrame,
    titles: Mapping[Any, str],
    limit: int,
    causes: ListCauses | None,
    implicit: bool,
) -> list[RecommendationRow]:
    kept = rows.join(years, on=ITEM, how="left").sort(RANK).head(limit)
    return [
        RecommendationRow(
            rank=row[RANK],
            title=row[TITLE],
            year=row[YEAR],
            score=row[SCORE],
            explanation=row[EXPLANATION] or "",
            model=row[MODEL] or "",
            causes=causes_of(
                row[LIKED_EVIDENCE], row[ATTRIBUTE_EVIDENCE], titles, implicit=implicit
            ),
            parts=() if causes is None else causes.parts(row[USER], row[ITEM]),
            without=()
            if causes is None
            else causes.told(row[USER], row[ITEM], row[RANK], row[LIKED_EVIDENCE] or (), titles),
        )
        for row in kept.iter_rows(named=True)
    ]


def _first(profiles: pl.DataFrame, user: int | str, column: str) -> str:
    found = profiles.filter(pl.col(USER) == user)[column].head(1).to_list()
    return (found[0] or "") if found else ""
