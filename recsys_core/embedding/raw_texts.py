"""Raw item and user texts, without a profile: what the ablations embed in place of profiles.

`integrated` is the paper's integrated text (section 3), a plain concatenation of title, genres and
overview; `facts` stops before the overview. A user's text strings together those of the liked
items that a profile would be written from, so both see the same evidence.
"""

from typing import Final, Literal

import polars as pl

from recsys_core.columns import (
    EVIDENCE,
    GENRES,
    ITEM,
    LIKED,
    OVERVIEW,
    POLARITY,
    TEXT,
    TITLE,
    TURN,
    USER,
    YEAR,
    check,
)
from recsys_core.datasets.ids_as_titles import telling_titles

RawText = Literal["integrated", "facts"]
_ORDER: Final = "_order"


def raw_item_texts(items: pl.DataFrame, kind: RawText) -> pl.DataFrame:
    """The text of every item.

    Args:
        items: `columns.ITEMS`; year, genres and overview may be null or empty.
        kind: with the overview (`integrated`) or without (`facts`).

    Returns:
        Columns item_id and text, one row per item in the order of `items`, no nulls; empty where
        nothing is known but the id.
    """
    items = items.with_columns(telling_titles(items))
    year = pl.concat_str(pl.lit(" ("), pl.col(YEAR), pl.lit(")")).fill_null("")
    genres = pl.col(GENRES).list.join(", ")
    parts = [
        pl.concat_str(pl.lit("Title: "), pl.col(TITLE), year, pl.lit(".")),
        pl.when(genres != "").then(pl.concat_str(pl.lit("Genres: "), genres, pl.lit("."))),
    ]
    if kind == "integrated":
        overview = pl.col(OVERVIEW).str.strip_chars()
        parts.append(pl.when(overview != "").then(overview))
    text = pl.concat_str(parts, separator=" ", ignore_nulls=True).fill_null("")
    return items.select(ITEM, text.alias(TEXT))


def raw_user_texts(
    users: pl.Series, evidence: pl.DataFrame, item_texts: pl.DataFrame
) -> pl.DataFrame:
    """The text of every user: those of the liked items of the evidence, the most telling first.

    Args:
        users: ids of all users.
        evidence: `columns.EVIDENCE`.
        item_texts: of `raw_item_texts`.

    Returns:
        Columns user_id and text, a row per user in the order of `users`; empty without a like.
    """
    check(evidence, EVIDENCE, table="evidence")
    liked = evidence.with_row_index(_ORDER).filter(pl.col(POLARITY) == LIKED)
    texts = (
        liked.join(item_texts, on=ITEM, how="left")
        .sort(USER, TURN, _ORDER)
        .group_by(USER, maintain_order=True)
        .agg(pl.col(TEXT).str.join(" "))
    )
    known = users.to_frame(USER).join(texts, on=USER, how="left", maintain_order="left")
    return known.with_columns(pl.col(TEXT).fill_null(""))
