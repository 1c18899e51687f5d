"""Which causes a reason may cite, and how strong each counts as: coarse, and stable over runs.

Any training moves every drop a little. A prompt that showed them would be another one for nearly
every user after one new rating, and all reasons would be asked for again. So a cause has one of
three strengths, and what it was in the last run it stays, unless today's drops speak against it by
more than a margin. What is not true today is never kept: a title whose contribution or drop is not
positive may not be cited, whatever it was.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core import columns as c
from recsys_core.explanations.attribution.kinds import (
    ATTRIBUTES,
    LIKED,
    POPULARITY,
    PROFILE,
    STRONGEST,
    TIME,
)
from recsys_core.graph.interaction_graph import Floats, Indices

MAIN: Final = "main"
STRONG: Final = "strong"
WEAK: Final = "weak"
STRENGTHS: Final = (MAIN, STRONG, WEAK)

CITABLE: Final = 5
"""Liked titles that a reason may choose from."""
STRONG_FROM: Final = 40
"""Influence of a strong cause, in percent of the strongest one's."""
CITED_FROM: Final = 10
"""Influence of a cause that may be cited, in percent of the strongest one's: less is no reason."""
SAID: Final = (PROFILE, ATTRIBUTES, POPULARITY, TIME)
"""Causes other than titles that a sentence can name."""

_TITLE, _WAS, _KNOWN, _PLACE = "__title__", "__was__", "__known__", "__place__"
_STAYS, _LEADS, _FIRM = "__stays__", "__leads__", "__firm__"
_ENTRY: Final = (c.USER, c.ITEM, _TITLE)


def with_strengths(
    attributions: pl.DataFrame, *, last: pl.DataFrame | None = None, margin: float = 0.0
) -> pl.DataFrame:
    """The attributions with STRENGTH: of what reasons may cite, and of what else they rest on.

    Of the liked titles whose contribution and drop are positive, the `CITABLE` of the largest drop
    have one; of other causes that can be said, the one of the largest share, which counts where no
    title may be cited. Of an entry that the last run had, a cause counts for `margin` more or less
    than it has today wherever that decides whether it stays what it was.

    Args:
        attributions: `columns.ATTRIBUTIONS`, whatever STRENGTH it has.
        last: the same of the last run of these data; None where there is none.
        margin: points of influence, in percent of the entry's strongest cause.
    """
    rows = attributions.drop(c.STRENGTH, strict=False).with_row_index(_PLACE)
    keys = [c.USER, c.ITEM, c.KIND, c.CAUSE]
    had = _of_last(last, attributions, keys)
    entries = had.select(c.USER, c.ITEM, pl.lit(value=True).alias(_KNOWN)).unique()
    able = (
        _with_influence(rows)
        .join(had, on=keys, how="left", nulls_equal=True)
        .join(entries, on=[c.USER, c.ITEM], how="left")
    )
    was = pl.col(_WAS).fill_null("")
    is_new = (pl.col(_KNOWN) & (was == "")).fill_null(value=False).cast(pl.Float64)
    was_firm = was.is_in([MAIN, STRONG]).cast(pl.Float64) - (was == WEAK).cast(pl.Float64)
    able = able.with_columns(
        (pl.col(c.INFLUENCE) + margin * (was != "").cast(pl.Float64)).alias(_STAYS),
        (pl.col(c.INFLUENCE) + margin * (was == MAIN).cast(pl.Float64)).alias(_LEADS),
        (pl.col(c.INFLUENCE) + margin * was_firm).alias(_FIRM),
    ).filter(pl.col(_STAYS) - margin * is_new >= CITED_FROM)
    places = pl.when(_TITLE).then(CITABLE).otherwise(1)
    strength = (
        pl.when(_number() == 0).then(pl.lit(MAIN))
        .when(pl.col(_FIRM) >= STRONG_FROM).then(pl.lit(STRONG))
        .otherwise(pl.lit(WEAK))
    )  # fmt: skip
    named = _ordered(_ordered(able, _STAYS).filter(_number() < places), _LEADS)
    told = named.select(_PLACE, strength.alias(c.STRENGTH))
    found = rows.join(told, on=_PLACE, how="left", maintain_order="left")
    return found.select(list(c.ATTRIBUTIONS))


def _ordered(causes: pl.DataFrame, by: str) -> pl.DataFrame:
    """The causes of each entry and sort, the largest first, then by id and kind."""
    falling = [name == by for name in (*_ENTRY, by, c.CAUSE, c.KIND)]
    return causes.sort(*_ENTRY, by, c.CAUSE, c.KIND, descending=falling)


def _number() -> pl.Expr:
    return pl.int_range(pl.len()).over(*_ENTRY)


def _with_influence(attributions: pl.DataFrame) -> pl.DataFrame:
    """What may be cited or said, with INFLUENCE, in percent of the largest of its sort."""
    title = pl.col(c.KIND) == LIKED
    size = pl.when(title).then(c.DROP).otherwise(c.SHARE).cast(pl.Float64)
    share = pl.col(c.INFLUENCE) / pl.col(c.INFLUENCE).max().over(*_ENTRY)
    may = (title & (pl.col(c.DROP) > 0)) | pl.col(c.KIND).is_in(SAID)
    return (
        attributions.filter(may & (pl.col(c.SIGN) > 0))
        .with_columns(title.alias(_TITLE), size.alias(c.INFLUENCE))
        .with_columns((share * 100).fill_nan(100.0).alias(c.INFLUENCE))
    )


def _of_last(last: pl.DataFrame | None, today: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """The causes of the last run with what they were; none where ids are of another type."""
    schema = {name: today.schema[name] for name in keys}
    if last is None or any(last.schema[name] != dtype for name, dtype in schema.items()):
        return pl.DataFrame(schema={**schema, _WAS: pl.String})
    had = last.filter(pl.col(c.STRENGTH).is_not_null())
    return had.select(*keys, pl.col(c.STRENGTH).alias(_WAS)).unique(keys, keep="first")


def strongest_ratings(
    drops: Floats, liked: npt.NDArray[np.bool_], cited: npt.NDArray[np.bool_] | None = None
) -> Indices:
    """(at most `STRONGEST`, n_items) the ratings of the largest drops, whichever way, in order.

    The `CITABLE` liked ones of the largest positive drop are always among them, and so are those
    that may have been cited before, while their drop is positive.

    Args:
        drops: (n, n_items) how much lower each score were without each rating.
        liked: (n,) which ratings are likes.
        cited: (n, n_items) which of them the last run's reasons might cite.
    """
    able = np.where(liked[:, None] & (drops > 0), drops, 0)
    least = np.sort(able, axis=0)[-CITABLE:].min(0, initial=np.inf)
    size = np.abs(drops)
    sure = able >= least if cited is None else (able >= least) | cited
    first = np.where((able > 0) & sure, np.inf, size)
    kept = np.argsort(-first, axis=0, kind="stable")[:STRONGEST]
    order = np.argsort(-np.take_along_axis(size, kept, 0), axis=0, kind="stable")
    return np.take_along_axis(kept, order, 0)


def cited_before(attributions: pl.DataFrame) -> pl.DataFrame:
    """USER, ITEM and CAUSE of the liked titles that reasons might cite."""
    titles = (pl.col(c.KIND) == LIKED) & pl.col(c.STRENGTH).is_not_null()
    return attributions.filter(titles).select(c.USER, c.ITEM, c.CAUSE)


def citable(attributions: pl.DataFrame) -> pl.DataFrame:
    """The liked titles that the reasons of each item may cite, the strongest of today first.

    INFLUENCE is the drop without the title in percent of the largest, as a whole number.
    """
    return (
        _with_influence(attributions)
        .filter(pl.col(_TITLE) & pl.col(c.STRENGTH).is_not_null())
        .sort(c.USER, c.ITEM, c.DROP, c.CAUSE, descending=[False, False, True, False])
        .with_columns(pl.col(c.INFLUENCE).round().cast(pl.Int32))
        .drop(_TITLE)
    )


def rests_on(attributions: pl.DataFrame) -> pl.DataFrame:
    """USER, ITEM, the KIND of the cause that is no title, and PEOPLE who liked the item."""
    popular = attributions.filter((pl.col(c.KIND) == POPULARITY) & (pl.col(c.SIGN) > 0))
    return (
        attributions.filter(pl.col(c.KIND).is_in(SAID) & pl.col(c.STRENGTH).is_not_null())
        .select(c.USER, c.ITEM, c.KIND)
        .join(popular.select(c.USER, c.ITEM, c.PEOPLE), on=[c.USER, c.ITEM], how="left")
    )
