"""Text normalisation of titles, genres, overviews and further text columns."""

from typing import Final

import polars as pl

# Control characters that are not white space, byte order marks, and the direction overrides that
# let a title rearrange the text around it in a report. Joiners stay: scripts and emoji need them.
_INVISIBLE: Final = r"[[\p{Cc}--\s]\x{FEFF}\x{202A}-\x{202E}\x{2066}-\x{2069}]"


def normalised(text: pl.Expr) -> pl.Expr:
    """Unicode NFC, no control characters, runs of white space as one space, ends trimmed."""
    visible = text.str.normalize("NFC").str.replace_all(_INVISIBLE, "")
    return visible.str.replace_all(r"\s+", " ").str.strip_chars()


def normalised_or_null(text: pl.Expr) -> pl.Expr:
    """`normalised`, with null where nothing is left."""
    clean = normalised(text)
    return pl.when(clean != "").then(clean)


def normalised_list(texts: pl.Expr) -> pl.Expr:
    """Each element of a list normalised; blank ones and repetitions dropped, null as empty."""
    clean = texts.list.eval(normalised_or_null(pl.element()))
    return clean.list.drop_nulls().list.unique(maintain_order=True).fill_null([])
