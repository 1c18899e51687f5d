"""The tables of the contract: columns cast to its types, ids that are there and unique."""

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from recsys_core.columns import (
    AVAILABLE,
    CAST,
    DIRECTORS,
    GENRES,
    ITEM,
    ITEMS,
    KEYWORDS,
    MAX_ID_CHARS,
    OVERVIEW,
    PART,
    POSITION,
    RATING,
    TIMESTAMP,
    TITLE,
    TMDB_ID,
    USER,
    YEAR,
)
from recsys_core.datasets.config import DataConfig, Role
from recsys_core.datasets.contract import casts
from recsys_core.datasets.contract.findings import Findings

Cast = Callable[[pl.Series, Findings], pl.Series | None]

_INTERACTION_CASTS: Final[Mapping[str, Cast]] = {
    USER: casts.as_id, ITEM: casts.as_id, RATING: casts.as_rating, TIMESTAMP: casts.as_seconds,
    PART: casts.as_part, POSITION: casts.as_position,
}  # fmt: skip
_ITEM_CASTS: Final[Mapping[str, Cast]] = {
    ITEM: casts.as_id, TITLE: casts.as_title, YEAR: casts.as_year,
    GENRES: casts.as_texts, OVERVIEW: casts.as_text,
}  # fmt: skip
_FURTHER_CASTS: Final[Mapping[str, Cast]] = {
    KEYWORDS: casts.as_texts, CAST: casts.as_texts, DIRECTORS: casts.as_texts,
    AVAILABLE: casts.as_flag,
}  # fmt: skip
"""Known columns that stay out of the table where the file has none."""
_ROLE_CASTS: Final[Mapping[Role, Cast]] = {
    "labels": casts.as_texts, "prose": casts.as_text, "number": casts.as_number,
    "date": casts.as_date,
}  # fmt: skip
_USER_CASTS: Final[Mapping[str, Cast]] = {USER: casts.as_id}
_OPTIONAL: Final = frozenset({RATING, TIMESTAMP, YEAR, GENRES, OVERVIEW, PART, POSITION})
_ABSENT: Final = frozenset({RATING, PART, POSITION})
"""Optional columns that stay absent; the other ones come as nulls."""


def interactions_table(frame: pl.DataFrame, findings: Findings, *, text: bool) -> pl.DataFrame:
    """Interactions cast to the contract's types; what cannot be used is among the findings."""
    table = _cast(frame, _INTERACTION_CASTS, findings, text=text)
    _check_ids(table, (USER, ITEM), findings)
    if RATING in table.columns:
        rating = pl.col(RATING)
        findings.add_rows(
            table, rating.is_null() | ~rating.is_finite(), "have a null, NaN or infinite rating",
            "drop these rows or give them a rating", show=(USER, ITEM, RATING),
        )  # fmt: skip
    return table


def items_table(
    frame: pl.DataFrame, config: DataConfig, findings: Findings, *, text: bool
) -> pl.DataFrame:
    """Items cast to the contract's types, with the columns that are known or chosen."""
    table = _cast(frame, _ITEM_CASTS, findings, text=text)
    _check_ids(table, (ITEM,), findings)
    _check_unique(table, ITEM, findings)
    if ITEM in table.columns:
        long = pl.col(ITEM).cast(pl.String).str.len_chars() > MAX_ID_CHARS
        findings.add_rows(
            table, long, f"have an id of more than {MAX_ID_CHARS} characters",
            "number the items and use the numbers as ids in every table", show=(ITEM,),
        )  # fmt: skip
        if TITLE in table.columns:
            findings.note(table[TITLE].null_count(), "item", "without a title has its id for one")
            table = table.with_columns(pl.col(TITLE).fill_null(pl.col(ITEM).cast(pl.String)))
    further = [
        cast(frame[name].alias(name), findings)
        for name, cast in _FURTHER_CASTS.items()
        if name in frame.columns
    ]
    further += _chosen(frame, config, findings)
    seen = {*ITEMS, *_FURTHER_CASTS, *config.text_columns, TMDB_ID}
    ids = [frame[TMDB_ID]] if TMDB_ID in frame.columns else []
    if left := [name for name in frame.columns if name.strip() and name not in seen]:
        findings.notes.append(
            f"columns of the items left out: {', '.join(sorted(left))} (--data.text_columns"
            " chooses)"
        )
    return table.hstack([one for one in further if one is not None] + ids)


def _chosen(frame: pl.DataFrame, config: DataConfig, findings: Findings) -> list[pl.Series | None]:
    missing = sorted(set(config.text_columns) - set(frame.columns))
    if missing:
        findings.add(
            f"no column {', '.join(missing)} (it has {', '.join(frame.columns)})",
            "correct --data.text_columns",
        )
    return [
        _ROLE_CASTS[role](frame[name], findings)
        for name, role in config.text_columns.items()
        if name in frame.columns and name not in {*ITEMS, *_FURTHER_CASTS, TMDB_ID}
    ]


def users_table(frame: pl.DataFrame, findings: Findings, *, text: bool) -> pl.DataFrame:
    """Users with their ids cast; further columns are kept as they are."""
    table = _cast(frame, _USER_CASTS, findings, text=text)
    _check_ids(table, (USER,), findings)
    _check_unique(table, USER, findings)
    if text:
        frame = frame.with_columns(casts.as_attribute(one) for one in frame)
    return frame.with_columns(table[USER]) if USER in table.columns else frame


def _cast(
    frame: pl.DataFrame, by: Mapping[str, Cast], findings: Findings, *, text: bool
) -> pl.DataFrame:
    """The columns of `by` that could be cast; missing optional ones come as nulls."""
    missing = [name for name in by if name not in frame.columns and name not in _OPTIONAL]
    if missing:
        has = ", ".join(frame.columns) or "no columns"
        names = ", ".join(missing)
        findings.add(
            f"missing column{'s' * (len(missing) > 1)} {names} (it has {has})",
            f"name them, for example --data.columns '{{{missing[0]}: NAME}}', or rename columns so"
            f" that the file has {names}",
        )
    if frame.is_empty():
        findings.add("it has no rows", "check how the file was written")
    done = []
    for name, cast in by.items():
        if name in missing or (name in _ABSENT and name not in frame.columns):
            continue
        column = (
            frame[name]
            if name in frame.columns
            else pl.Series(name, [None] * frame.height, pl.Null)
        )
        if text and name in (USER, ITEM):
            column = casts.numeric_ids(column)
        done.append(cast(column, findings))
    return pl.DataFrame([column for column in done if column is not None])


def _check_ids(table: pl.DataFrame, names: tuple[str, ...], findings: Findings) -> None:
    for name in names:
        if name in table.columns:
            missing = pl.col(name).is_null()
            if table.schema[name] == pl.String:
                # A blank string is an id that somebody lost, not an id.
                missing |= pl.col(name).str.strip_chars() == ""
            findings.add_rows(
                table, missing, f"have no {name}", f"give every row a {name}, or drop these rows",
                show=(USER, ITEM, TITLE),
            )  # fmt: skip


def _check_unique(table: pl.DataFrame, name: str, findings: Findings) -> None:
    if name in table.columns:
        findings.add_rows(
            table, pl.col(name).is_duplicated() & pl.col(name).is_not_null(), f"repeat a {name}",
            f"keep one row per {name}", show=(name, TITLE),
        )  # fmt: skip
