"""From tables to the models that prompts show: item facts, recent items, tastes.

Joins are made for all users and items at once; models are made from single rows when a prompt
needs them.
"""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from recsys_core import columns as c
from recsys_core.interactions.order import order_column
from recsys_core.prompt_context.models import (
    DESCRIPTION_CHARS,
    MAX_LABELS,
    MAX_RECENT,
    TITLE_CHARS,
    Candidate,
    RecentItem,
    Taste,
)

LABELS: Final = "labels"
"""Of `item_facts`: the item's labels of further columns, `column:label`."""
_LABELS_PER_COLUMN: Final = 6


def label_columns(schema: Mapping[str, pl.DataType]) -> list[str]:
    """Columns of an items table beyond `columns.ITEMS` that hold labels (author, cast, brand)."""
    labels = [name for name, dtype in schema.items() if dtype == pl.List(pl.String)]
    return sorted(name for name in labels if name not in c.ITEMS)


def item_facts(items: pl.DataFrame, item_profiles: pl.DataFrame) -> pl.DataFrame:
    """ITEM, TITLE, YEAR, GENRES, TAGS and DESCRIPTION as prompts show them, a row per item.

    Beside them stand `LABELS`, the labels of further columns, and MODEL: who wrote the profile,
    null where there is none.
    """
    profiles = item_profiles.select(c.ITEM, c.GENRES, c.TAGS, c.DESCRIPTION, c.MODEL)
    none = pl.lit([], pl.List(pl.String))
    labels = [
        pl.col(name).list.head(_LABELS_PER_COLUMN).list.eval(f"{name}:" + pl.element())
        .fill_null(none)
        for name in label_columns(items.schema)
    ]  # fmt: skip
    columns = items.select(
        c.ITEM, c.TITLE, c.YEAR, c.GENRES, c.OVERVIEW,
        pl.concat_list(labels or [none]).alias(LABELS),
    )  # fmt: skip
    genres = pl.when(pl.col(c.GENRES).list.len() > 0).then(c.GENRES).otherwise(f"{c.GENRES}_right")
    text = pl.coalesce(c.DESCRIPTION, c.OVERVIEW, pl.lit(""))
    return columns.join(profiles, on=c.ITEM, how="left").select(
        c.ITEM,
        pl.col(c.TITLE).fill_null("").str.slice(0, TITLE_CHARS),
        c.YEAR,
        genres.list.head(MAX_LABELS).fill_null([]).alias(c.GENRES),
        pl.col(c.TAGS).list.head(MAX_LABELS).fill_null([]),
        text.str.slice(0, DESCRIPTION_CHARS).alias(c.DESCRIPTION),
        LABELS,
        c.MODEL,
    )


def recent_items(history: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """USER and RECENT, a list of the latest training interactions, the latest first.

    Where the order is unknown, higher ratings come first, then lower ids.
    """
    return (
        history.sort(
            c.USER, order_column(history), c.RATING, c.ITEM,
            descending=[False, True, True, False], nulls_last=True,
        )
        .group_by(c.USER, maintain_order=True)
        .head(MAX_RECENT)
        .join(items.select(c.ITEM, c.TITLE, c.YEAR), on=c.ITEM, how="inner", maintain_order="left")
        .group_by(c.USER, maintain_order=True)
        .agg(pl.struct(pl.col(c.TITLE).fill_null("").str.slice(0, TITLE_CHARS), c.YEAR, c.RATING)
             .alias(c.RECENT))
    )  # fmt: skip


def recent(row: dict[str, Any]) -> tuple[RecentItem, ...]:
    """The RECENT of a row of `recent_items`; null (nothing in training) gives none."""
    return tuple(RecentItem(**one) for one in row[c.RECENT] or ())


def candidate(row: dict[str, Any]) -> Candidate:
    """A row of `item_facts` as a prompt shows it."""
    return Candidate(
        id=str(row[c.ITEM]), title=row[c.TITLE], year=row[c.YEAR], genres=tuple(row[c.GENRES]),
        tags=tuple(row[c.TAGS]), description=row[c.DESCRIPTION],
    )  # fmt: skip


def tastes(user_profiles: pl.DataFrame) -> pl.DataFrame:
    """The columns of the user profiles that `taste` reads."""
    return user_profiles.select(c.USER, c.OVERVIEW, c.GENRES, c.TAGS, c.DESCRIPTION, c.DISLIKES)


def taste(row: dict[str, Any]) -> Taste:
    """A row of `tastes`; nulls (a user without a profile) give an empty taste."""
    return Taste(
        overview=row[c.OVERVIEW] or "", description=row[c.DESCRIPTION] or "",
        genres=tuple(row[c.GENRES] or ()), tags=tuple(row[c.TAGS] or ()),
        dislikes=tuple(row[c.DISLIKES] or ()),
    )  # fmt: skip
