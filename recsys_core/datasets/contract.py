"""The contract of a data set: interactions, items and, where known, users (DESIGN, section 2).

Benign variants (narrow integers, double ratings, missing optional columns) are cast; everything
else is an error that names all problems of a file at once, with the first offending rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from recsys_core.columns import (
    GENRES,
    INTERACTIONS,
    ITEM,
    ITEMS,
    OVERVIEW,
    RATING,
    TIMESTAMP,
    TITLE,
    USER,
    YEAR,
    check,
)  # fmt: skip
from recsys_core.datasets import contract_casts as casts
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract_findings import Findings
from recsys_core.datasets.text import normalised_or_null

Cast = Callable[[pl.Series, Findings], pl.Series | None]

_INTERACTION_CASTS: Final[Mapping[str, Cast]] = {
    USER: casts.as_id, ITEM: casts.as_id, RATING: casts.as_rating, TIMESTAMP: casts.as_seconds,
}  # fmt: skip
_ITEM_CASTS: Final[Mapping[str, Cast]] = {
    ITEM: casts.as_id, TITLE: casts.as_text, YEAR: casts.as_year,
    GENRES: casts.as_texts, OVERVIEW: casts.as_text,
}  # fmt: skip
_USER_CASTS: Final[Mapping[str, Cast]] = {USER: casts.as_id}
_OPTIONAL: Final = frozenset({TIMESTAMP, YEAR, GENRES, OVERVIEW})


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set that satisfies the contract.

    Attributes:
        name: short name, used for the run's folder and the report.
        source: one sentence that says where the data came from.
        interactions: `columns.INTERACTIONS`, one row per (user, item), in the file's order.
        items: `columns.ITEMS` and any further columns; genres are never null.
        users: `user_id` and any further columns, or None.
    """

    name: str
    source: str
    interactions: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame | None = None


def validate(dataset: Dataset, config: DataConfig) -> Dataset:
    """The data set with each table cast and checked, and the tables checked against one another.

    Raises:
        DataError: a table breaks the contract, ids of two tables differ in type, or an
            interaction names an item that is not among the items.
    """
    where = f"({dataset.source})"
    interactions = validate_interactions(
        dataset.interactions, config, place=f"Interactions {where}"
    )
    items = validate_items(dataset.items, place=f"Items {where}")
    users = dataset.users
    if users is not None:
        users = validate_users(users, place=f"Users {where}")
    whole = replace(dataset, interactions=interactions, items=items, users=users)
    _check_references(whole)
    return whole


def validate_interactions(frame: pl.DataFrame, config: DataConfig, *, place: str) -> pl.DataFrame:
    """Interactions as `columns.INTERACTIONS`, rows in the file's order.

    Args:
        frame: columns user_id, item_id, rating and, optionally, timestamp.
        config: gives the rating scale.
        place: the file's name, for the error.

    Raises:
        DataError: see the module; all problems are named at once.
    """
    findings = Findings(place, expected="one row per (user, item) with a rating on the scale.")
    table = _cast(frame, _INTERACTION_CASTS, findings)
    _check_ids(table, (USER, ITEM), findings)
    if RATING in table.columns:
        _check_ratings(table, config, findings)
    if {USER, ITEM} <= set(table.columns):
        known = pl.col(USER).is_not_null() & pl.col(ITEM).is_not_null()
        findings.add_rows(
            table, known & pl.struct(USER, ITEM).is_duplicated(), "repeat a (user, item) pair",
            "keep one row per pair, for example the latest", show=(USER, ITEM, RATING),
        )  # fmt: skip
    findings.raise_if_any()
    return check(table.select(INTERACTIONS.keys()), INTERACTIONS, table=place)


def validate_items(frame: pl.DataFrame, *, place: str) -> pl.DataFrame:
    """Items as `columns.ITEMS` plus the further columns, texts normalised.

    Args:
        frame: columns item_id, title and, optionally, year, genres, overview and any others.
        place: the file's name, for the error.

    Raises:
        DataError: see the module; all problems are named at once.
    """
    findings = Findings(place, expected="one row per item with an id and a title.")
    table = _cast(frame, _ITEM_CASTS, findings)
    _check_ids(table, (ITEM,), findings)
    if TITLE in table.columns:
        findings.add_rows(
            table, pl.col(TITLE).is_null(), "have no title",
            "give every item a title, or leave it and its interactions out", show=(ITEM,),
        )  # fmt: skip
    _check_unique(table, ITEM, findings)
    findings.raise_if_any()
    extra = [name for name in frame.columns if name not in ITEMS]
    texts = [normalised_or_null(pl.col(name)) for name in extra if frame[name].dtype == pl.String]
    table = table.select(ITEMS.keys()).hstack(frame.select(extra)).with_columns(texts)
    return check(table, ITEMS, table=place)


def validate_users(frame: pl.DataFrame, *, place: str) -> pl.DataFrame:
    """Users with a unique, known `user_id`; further columns are kept as they are.

    Raises:
        DataError: the column is missing or of a wrong type, or an id is null or repeated.
    """
    findings = Findings(place, expected="one row per user with an id.")
    table = _cast(frame, _USER_CASTS, findings)
    _check_ids(table, (USER,), findings)
    _check_unique(table, USER, findings)
    findings.raise_if_any()
    return frame.with_columns(table[USER])


def _cast(frame: pl.DataFrame, by: Mapping[str, Cast], findings: Findings) -> pl.DataFrame:
    """The columns of `by` that could be cast; missing optional ones come as nulls."""
    missing = [name for name in by if name not in frame.columns and name not in _OPTIONAL]
    if missing:
        has = ", ".join(frame.columns) or "no columns"
        names = ", ".join(missing)
        findings.add(f"missing column{'s' * (len(missing) > 1)} {names} (it has {has})",
                     f"add or rename columns so that the file has {names}")  # fmt: skip
    if frame.is_empty():
        findings.add("it has no rows", "check how the file was written")
    found = {name: frame[name] if name in frame.columns
             else pl.Series(name, [None] * frame.height, pl.Null)
             for name in by if name not in missing}  # fmt: skip
    done = [by[name](column, findings) for name, column in found.items()]
    return pl.DataFrame([column for column in done if column is not None])


def _check_ids(table: pl.DataFrame, names: tuple[str, ...], findings: Findings) -> None:
    for name in names:
        if name in table.columns:
            # A blank string is an id that somebody lost, not an id.
            blank = pl.col(name).cast(pl.String).str.strip_chars() == ""
            findings.add_rows(
                table, pl.col(name).is_null() | blank, f"have no {name}",
                f"give every row a {name}, or drop these rows", show=(USER, ITEM, TITLE),
            )  # fmt: skip


def _check_unique(table: pl.DataFrame, name: str, findings: Findings) -> None:
    if name in table.columns:
        findings.add_rows(
            table, pl.col(name).is_duplicated() & pl.col(name).is_not_null(), f"repeat a {name}",
            f"keep one row per {name}", show=(name, TITLE),
        )  # fmt: skip


def _check_ratings(table: pl.DataFrame, config: DataConfig, findings: Findings) -> None:
    rating, show = pl.col(RATING), (USER, ITEM, RATING)
    findings.add_rows(
        table, rating.is_null() | ~rating.is_finite(), "have a null, NaN or infinite rating",
        "drop these rows or give them a rating", show=show,
    )  # fmt: skip
    # Compared as Float32: a bound such as 0.3 has no exact value in either precision.
    low, high = pl.lit(config.rating_min, pl.Float32), pl.lit(config.rating_max, pl.Float32)
    known = table[RATING].filter(table[RATING].is_finite())
    findings.add_rows(
        table, rating.is_finite() & ~rating.is_between(low, high),
        f"have a rating outside the scale {config.rating_min:g} to {config.rating_max:g}",
        f"correct the file, or set its scale (it goes from {known.min()!r} to {known.max()!r}):"
        " --data.rating_min and --data.rating_max, and with them --data.positive (liked from here"
        " up) and --data.negative (disliked up to here)", show=show,
    )  # fmt: skip


def _check_references(dataset: Dataset) -> None:
    items, interactions, users = dataset.items, dataset.interactions, dataset.users
    findings = Findings(f"The data set ({dataset.source})", expected="the same ids in every table.")
    fix = "write the ids of all files as integers, or of all as strings"
    pairs = [(ITEM, "items", items)] + ([] if users is None else [(USER, "users", users)])
    for name, table, frame in pairs:
        if interactions.schema[name] != frame.schema[name]:
            findings.add(
                f"{name} is {interactions.schema[name]} in the interactions but"
                f" {frame.schema[name]} in the {table}", fix,
            )  # fmt: skip
    findings.raise_if_any()
    findings.add_rows(
        interactions, ~pl.col(ITEM).is_in(items[ITEM].implode()), "name an item that is unknown",
        "add these items to the items file, or drop the interactions", show=(USER, ITEM),
    )  # fmt: skip
    findings.raise_if_any()
