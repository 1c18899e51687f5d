"""Ready-made profiles: a Parquet file of ids and profiles in Markdown, such as the paper's own."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from recsys_core.columns import PROFILE_TEXT, is_id
from recsys_core.errors import DataError
from recsys_core.profiles.schema import (
    DESCRIPTION_CHARS,
    LABEL_CHARS,
    MAX_DISLIKES,
    MAX_GENRES,
    MAX_TAGS,
    OVERVIEW_CHARS,
    Profile,
    ProfileFields,
    parse_markdown,
)
from recsys_core.profiles.tables import Id
from recsys_core.profiles.text import clean_label, clean_text, cut, lead, unique

logger = logging.getLogger(__name__)

_TEXT_LIMITS: Final = {"overview": OVERVIEW_CHARS, "description": DESCRIPTION_CHARS}
_LIST_LIMITS: Final = {"genres": MAX_GENRES, "tags": MAX_TAGS, "dislikes": MAX_DISLIKES}


@dataclass(frozen=True, kw_only=True)
class ReadyMadeProfiles:
    """Ready-made profiles by id, and what was seen while reading them.

    Attributes:
        profiles: profile of each known id that has one.
        unknown: rows whose id the data set does not have; left out.
        empty: rows without a text; their profiles are written instead.
        trimmed: profiles that were longer than the schema allows and were cut.
    """

    profiles: dict[Id, Profile]
    unknown: int = 0
    empty: int = 0
    trimmed: int = 0


def read_ready_made(path: str, id_column: str, known: pl.Series) -> ReadyMadeProfiles:
    """Read the profiles in the Parquet file at `path`.

    Args:
        path: file with the columns `id_column` and `profile` (Markdown).
        id_column: `item_id` or `user_id`.
        known: the ids of the data set; rows of other ids are counted and left out.

    Raises:
        DataError: the file or a column is missing, an id appears twice, or a text is no profile.
    """
    frame = _read(path, id_column, known)
    inside = frame.filter(pl.col(id_column).is_in(known.implode()))
    written = inside.filter(pl.col(PROFILE_TEXT).str.strip_chars().str.len_chars() > 0)
    profiles: dict[Id, Profile] = {}
    trimmed = 0
    for key, text in written.select(id_column, PROFILE_TEXT).iter_rows():
        profiles[key], was_cut = _parse(text, place=f"{path}, {id_column} {key!r}")
        trimmed += was_cut
    found = ReadyMadeProfiles(
        profiles=profiles,
        unknown=frame.height - inside.height,
        empty=inside.height - written.height,
        trimmed=trimmed,
    )
    logger.info("Read %d profiles from %s", len(profiles), path)
    return found


def _read(path: str, id_column: str, known: pl.Series) -> pl.DataFrame:
    if not Path(path).is_file():
        raise DataError(
            f"The file of ready-made profiles {path} does not exist.",
            expected=f"a Parquet file with the columns {id_column} and {PROFILE_TEXT}.",
            fix="correct the path, or leave it out to have the profiles written.",
        )
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path} cannot be read as Parquet: {error}",
            expected=f"a Parquet file with the columns {id_column} and {PROFILE_TEXT}.",
        ) from error
    return _checked(frame, path, id_column, known)


def _checked(frame: pl.DataFrame, path: str, id_column: str, known: pl.Series) -> pl.DataFrame:
    found = frame.schema
    fits = is_id(found[id_column]) if id_column in found else False
    if not fits or found.get(PROFILE_TEXT) != pl.String:
        columns = ", ".join(f"{name} ({dtype})" for name, dtype in found.items())
        raise DataError(
            f"{path} has the columns {columns or 'none'}.",
            expected=f"{id_column} (integer or string) and {PROFILE_TEXT} (string, Markdown).",
            fix="rename or cast the columns.",
        )
    if (found[id_column] == pl.String) != (known.dtype == pl.String):
        raise DataError(
            f"{path}: {id_column} has type {found[id_column]}, the data set's {known.dtype}.",
            expected="ids of the same type.",
            fix=f"cast {id_column} in this file.",
        )
    repeated = frame.filter(pl.col(id_column).is_duplicated())
    if repeated.height:
        raise DataError(
            f"{path}: {id_column} {repeated[id_column][0]!r} has more than one profile.",
            expected="one profile per id.",
            fix="keep one row per id.",
        )
    return frame.with_columns(pl.col(id_column).cast(known.dtype, strict=False))


def _parse(text: str, *, place: str) -> tuple[Profile, bool]:
    """A profile, and whether it had to be cut to the schema's bounds."""
    try:
        fields = parse_markdown(text)
        bounded = {name: _bounded(name, value) for name, value in fields.items()}
        return Profile.from_fields(bounded), bounded != _clean(fields)
    except DataError as error:
        raise DataError(f"{place}: {error.seen}", expected=error.expected, fix=error.fix) from error


def _clean(fields: ProfileFields) -> ProfileFields:
    return {
        name: clean_text(value) if isinstance(value, str) else list(unique(value))
        for name, value in fields.items()
    }


def _bounded(name: str, value: str | list[str]) -> str | list[str]:
    if isinstance(value, str):
        return lead(clean_text(value), _TEXT_LIMITS[name])
    short = (clean_label(cut(label, LABEL_CHARS)) for label in value)
    return list(unique(short))[: _LIST_LIMITS[name]]
