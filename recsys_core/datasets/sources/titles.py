"""Normalise MovieLens titles: release year into its own column, leading article in front."""

from typing import Final

import polars as pl

from recsys_core.columns import GENRES, TITLE, YEAR
from recsys_core.datasets.contract.label_lists import NO_LABEL

# One-letter articles other than A ("I", "O") are only safe within brackets: foreign titles.
_ARTICLES: Final = "The|An|A|La|Les|Le|Los|Las|El|Il|Lo|Gli|Das|Der|Die|Den|Det|Un|Une|Una"
_YEAR: Final = r"\s*\((\d{4})\)(?:\s*\((?:V|TV)\))?\s*$"


def tidy(items: pl.DataFrame) -> pl.DataFrame:
    """MovieLens items with the year split off the title and leading articles put in front.

    "Postino, Il (1994)" becomes "Il Postino" and 1994. A year that is known already stays. The
    genres "unknown" and "(no genres listed)" become no genre. Doing it twice changes nothing.
    """
    year = pl.col(TITLE).str.extract(_YEAR).cast(pl.Int32)
    if YEAR in items.columns:
        year = pl.coalesce(pl.col(YEAR).cast(pl.Int32), year)
    return items.with_columns(
        _article_first(pl.col(TITLE).str.replace(_YEAR, "")).alias(TITLE),
        year.alias(YEAR),
        pl.col(GENRES).list.filter(~pl.element().str.to_lowercase().is_in(sorted(NO_LABEL))),
    )


def year_split_off(items: pl.DataFrame) -> pl.DataFrame:
    """Items without a column of years whose titles mostly end in one: "Heat (1995)"."""
    if YEAR in items.columns or items.schema.get(TITLE) != pl.String or items.is_empty():
        return items
    years = items[TITLE].str.extract(_YEAR).cast(pl.Int32)
    if years.null_count() > items.height / 2:
        return items
    return items.with_columns(pl.col(TITLE).str.replace(_YEAR, ""), years.alias(YEAR))


def _article_first(title: pl.Expr) -> pl.Expr:
    title = title.str.replace(r"\s+\)$", ")").str.replace("^unkonwn$", "unknown")
    title = title.str.replace(rf"^([^()]+), ({_ARTICLES})( \(.*)?$", "${2} ${1}${3}")
    title = title.str.replace(r"^([^()]+), (L')( \(.*)?$", "${2}${1}${3}")
    title = title.str.replace(rf"\(([^()]+), ({_ARTICLES}|I|O)\)", "(${2} ${1})")
    return title.str.replace(r"\(([^()]+), (L')\)", "(${2}${1})")
