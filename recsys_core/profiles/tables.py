"""The two profile tables: rows from profiles, tables from rows."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import polars as pl

from recsys_core.columns import (
    DESCRIPTION,
    DISLIKES,
    EVIDENCE_HASH,
    GENRES,
    MARKDOWN,
    MODEL,
    OVERVIEW,
    PROMPT_VERSION,
    STATUS,
    TAGS,
    TURNS,
    Schema,
    check,
)
from recsys_core.profiles.schema import Profile

PUBLISHED: Final = "published"
"""Value of status, model and prompt version of a ready-made profile."""
AT_ONCE: Final = 256
"""Profiles under way at once; the provider has limits of its own for its calls."""

Id = int | str
Row = dict[str, Any]


def profile_row(
    id_column: str,
    key: Id,
    profile: Profile,
    *,
    title: str | None = None,
    model: str,
    prompt_version: str,
    evidence_hash: str,
    turns: int,
    status: str,
) -> Row:
    """One row of `columns.ITEM_PROFILES` or `columns.USER_PROFILES`."""
    return {
        id_column: key,
        OVERVIEW: profile.overview,
        GENRES: list(profile.genres),
        TAGS: list(profile.tags),
        DESCRIPTION: profile.description,
        DISLIKES: list(profile.dislikes),
        MARKDOWN: profile.to_markdown(title),
        MODEL: model,
        PROMPT_VERSION: prompt_version,
        EVIDENCE_HASH: evidence_hash,
        TURNS: turns,
        STATUS: status,
    }


def profile_table(
    rows: Sequence[Row], schema: Schema, id_column: str, id_type: pl.DataType
) -> pl.DataFrame:
    """The rows as a table of `schema`, sorted by id."""
    types = {name: id_type if dtype is None else dtype for name, dtype in schema.items()}
    return check(
        pl.DataFrame(rows, schema=types, orient="row").sort(id_column), schema, table="profiles"
    )


def worst_status(statuses: Iterable[str]) -> str:
    """`failed` if any turn was answered by the rule instead, else `repaired`, else `ok`."""
    seen = set(statuses)
    return next((status for status in ("failed", "repaired") if status in seen), "ok")
