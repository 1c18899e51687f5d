"""Add TMDB's overview, keywords, cast and directors to items (paper, section 2.1).

An item is looked up by its `tmdb_id` where it has one, else by title and year. What the data set
says itself stays, unless `overwrite` is set. An item that TMDB does not have goes through as it
is, and into the table of unmatched items with the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from recsys_core.columns import (
    CAST,
    DIRECTORS,
    ITEM,
    KEYWORDS,
    OVERVIEW,
    REASON,
    TITLE,
    TMDB_ID,
    UNMATCHED,
    YEAR,
)  # fmt: skip
from recsys_core.concurrency import map_bounded
from recsys_core.datasets.config import TmdbConfig
from recsys_core.datasets.text import normalised_list, normalised_or_null
from recsys_core.datasets.tmdb.client import MAX_IN_FLIGHT, TmdbClient
from recsys_core.datasets.tmdb.matching import alternatives, best_match, title_and_year
from recsys_core.datasets.tmdb.schemas import Candidate, Film
from recsys_core.errors import DataError

_LISTS: Final = (KEYWORDS, CAST, DIRECTORS)
# Actors kept per item, in billing order.
_CAST_SIZE: Final = 5
_STRINGS: Final = pl.List(pl.String)
_NEW: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    OVERVIEW: pl.String, KEYWORDS: _STRINGS, CAST: _STRINGS, DIRECTORS: _STRINGS, TMDB_ID: pl.Int64,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    title: str
    year: int | None
    tmdb_id: int | None


@dataclass(frozen=True, kw_only=True)
class _Found:
    film: Film | None = None
    reason: str | None = None


async def enrich(
    items: pl.DataFrame,
    client: TmdbClient,
    config: TmdbConfig,
    *,
    on_done: Callable[[int], None] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Look every item up and fill in what is missing.

    Args:
        items: `columns.ITEMS`, and perhaps `tmdb_id`, `keywords`, `cast`, `directors`.
        client: an open client.
        config: what is kept of an answer.
        on_done: called with the number of items done after each of them.

    Returns:
        The items, in their order, with `overview` filled and with `keywords`, `cast`,
        `directors` (lists, empty where unknown) and `tmdb_id` (null where unmatched); and
        `columns.UNMATCHED`.

    Raises:
        DataError: a column that would be filled has another type.
        ConfigError, SourceUnavailable, StorageError: see `TmdbClient`.
    """
    items = _prepared(items, config)
    rows = items.select(TITLE, YEAR, TMDB_ID).iter_rows()
    wanted = [_Wanted(title=title, year=year, tmdb_id=known) for title, year, known in rows]
    found = await map_bounded(
        wanted, lambda one: _look_up(one, client), at_once=MAX_IN_FLIGHT, on_done=on_done
    )
    reasons = pl.Series(REASON, [one.reason for one in found], pl.String)
    unmatched = items.select(ITEM, TITLE, YEAR).with_columns(reasons)
    unmatched = unmatched.filter(pl.col(REASON).is_not_null()).select(UNMATCHED.keys())
    return _filled(items, [one.film for one in found], config), unmatched


async def _look_up(wanted: _Wanted, client: TmdbClient) -> _Found:
    tmdb_id = wanted.tmdb_id
    if tmdb_id is None:
        match = await _search(wanted, client)
        if match is None:
            year = f" within a year of {wanted.year}" if wanted.year is not None else ""
            return _Found(reason=f"no film of this title{year}")
        tmdb_id = match.id
    film = await client.film(tmdb_id)
    return _Found(film=film, reason=None if film else f"TMDB has no film with id {tmdb_id}")


async def _search(wanted: _Wanted, client: TmdbClient) -> Candidate | None:
    title, year = title_and_year(wanted.title, wanted.year)
    names = alternatives(title)
    for name in names:
        # By year first: the first page of a common title may not hold it otherwise.
        for asked in (None,) if year is None else (year, None):
            match = best_match(await client.search(name, asked), names, year)
            if match is not None:
                return match
    return None


def _prepared(items: pl.DataFrame, config: TmdbConfig) -> pl.DataFrame:
    """The items with every column that will be filled, of the right type."""
    for name in _LISTS:
        there = items.schema.get(name)
        if there is None or (there != _STRINGS and config.overwrite):
            items = items.with_columns(pl.lit(None, _STRINGS).alias(name))
        elif there != _STRINGS:
            raise DataError(
                f"Items: column {name!r} has type {there}.",
                expected="a list of strings, to be filled from TMDB where it is empty.",
                fix="split its texts into lists, give it another name, or set --tmdb.overwrite.",
            )
    if TMDB_ID not in items.columns:
        return items.with_columns(pl.lit(None, pl.Int64).alias(TMDB_ID))
    return items.with_columns(_film_ids(items[TMDB_ID]))


def _film_ids(column: pl.Series) -> pl.Series:
    """Ids of films as integers; texts and whole floats are read as such."""
    text = column.cast(pl.String).str.strip_chars().str.strip_suffix(".0")
    ids = text.replace({"": None, "NaN": None}).cast(pl.Int64, strict=False)
    given = column.filter(text.replace({"": None, "NaN": None}).is_not_null() & (
        ids.is_null() | (ids <= 0)))  # fmt: skip
    if given.len():
        raise DataError(
            f"Items: column {TMDB_ID!r} holds {given.len()} values such as {given[0]!r}.",
            expected="TMDB's ids of films, whole numbers above 0, or null.",
            fix="correct them, or drop the column to search by title and year.",
        )
    return ids


def _filled(items: pl.DataFrame, films: list[Film | None], config: TmdbConfig) -> pl.DataFrame:
    new = pl.DataFrame([_columns_of(film) for film in films], schema=_NEW, orient="row")
    new = new.with_columns(
        normalised_or_null(pl.col(OVERVIEW)), *(normalised_list(pl.col(name)) for name in _LISTS)
    )
    merged = [_merged(items[name], new[name], config.overwrite) for name in (OVERVIEW, *_LISTS)]
    return items.with_columns(*merged, pl.coalesce(items[TMDB_ID], new[TMDB_ID]).alias(TMDB_ID))


def _columns_of(film: Film | None) -> dict[str, Any]:
    if film is None:
        return {}
    return {
        OVERVIEW: film.overview,
        KEYWORDS: film.keyword_names,
        CAST: film.leads(_CAST_SIZE),
        DIRECTORS: film.directors,
        TMDB_ID: film.id,
    }


def _merged(old: pl.Series, new: pl.Series, overwrite: bool) -> pl.Series:
    """Old values where there are some, else new ones; the other way round to overwrite."""
    first, second = (new, old) if overwrite else (old, new)
    if old.dtype != _STRINGS:
        return pl.select(pl.coalesce(first, second).alias(old.name)).to_series()
    best = pl.when(first.list.len() > 0).then(first).otherwise(second).fill_null([])
    return pl.select(best.alias(old.name)).to_series()
