"""Tables as people have them, read under the contract's names; nothing is checked here."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal

import polars as pl

from recsys_core.columns import GENRES, ITEM, PART, RATING, USER
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract import RawDataset, validate_interactions
from recsys_core.datasets.contract.casts import numeric_ids
from recsys_core.datasets.contract.policies import Rated
from recsys_core.datasets.described import described_items
from recsys_core.datasets.locate import Located, table_at
from recsys_core.datasets.published import ARCHIVES
from recsys_core.datasets.sources import movielens
from recsys_core.datasets.sources.aliases import (
    COUNTS,
    INTERACTION_ALIASES,
    ITEM_ALIASES,
    USER_ALIASES,
    Aliases,
    plain,
    resolved,
)
from recsys_core.datasets.sources.tables import Table
from recsys_core.datasets.sources.titles import tidy, year_split_off
from recsys_core.errors import DataError
from recsys_core.interactions.feedback import Feedback


def read(found: Located, config: DataConfig) -> RawDataset:
    """The tables that were found, under the contract's names, not checked yet.

    Raises:
        DataError: one cannot be read.
    """
    source = found.place if "://" in found.place else f"local folder {found.place}"
    name = _last_part(found.place if config.source in ARCHIVES else config.source)
    if found.movielens is not None and found.files is not None:
        raw = movielens.read(found.movielens, found.files, name=name, source=source)
        if found.items is None:
            return raw
        return replace(raw, items=_table(found.items, ITEM_ALIASES, config, everything=True)[0])
    notes: list[str] = []
    first = next(iter(found.interactions.values()))
    described = None if found.items else described_items(found.interactions, config)
    interactions, counts = _interactions(
        found.interactions, config, notes=notes, items=() if described is None else described.names
    )
    items = users = known = None
    if found.items is not None:
        items, _ = _table(found.items, ITEM_ALIASES, config, everything=True, notes=notes)
    elif described is not None:
        items = described.table
        notes += described.notes
    if found.users is not None:
        users, _ = _table(found.users, USER_ALIASES, config, everything=True, notes=notes)
    if items is not None:
        known = movielens.recognised(items)
        items = _tidied(items, notes, is_movielens=known is not None)
    if found.left_out:
        notes.append(f"files left out: {', '.join(found.left_out)}")
    tables = (
        ("interactions", first), ("items", found.items or first), ("users", found.users),
    )  # fmt: skip
    return RawDataset(
        name=known or name, source=source, interactions=interactions, items=items, users=users,
        text=frozenset(kind for kind, one in tables if one is not None and one.is_text),
        feedback="implicit" if counts else None,
        notes=tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def _tidied(items: pl.DataFrame, notes: list[str], *, is_movielens: bool) -> pl.DataFrame:
    """Titles without the year that they end in, and MovieLens' own without moved articles."""
    if is_movielens and items.schema.get(GENRES) == pl.List(pl.String):
        return tidy(items)
    split = year_split_off(items)
    if split is not items:
        notes.append("titles end in a year, which was split off")
    return split


def _interactions(
    tables: Mapping[str, Table],
    config: DataConfig,
    *,
    notes: list[str],
    items: Collection[str] = (),
) -> tuple[pl.DataFrame, bool]:
    """All interactions, with their part where they lie apart; whether the ratings are counts.

    Args:
        tables: part -> where they are.
        config: the names that were given.
        notes: takes what was recognised.
        items: columns that describe the items, read elsewhere.
    """
    frames, counts = [], False
    for part, table in tables.items():
        frame, names = _table(table, INTERACTION_ALIASES, config, notes=notes, elsewhere=items)
        counts |= plain(names.get(RATING, "")) in COUNTS
        frames.append(frame.with_columns(pl.lit(part).alias(PART)) if part else frame)
    return pl.concat(frames, how="diagonal_relaxed"), counts


def _table(
    table: Table,
    aliases: Aliases,
    config: DataConfig,
    *,
    everything: bool = False,
    notes: list[str] | None = None,
    elsewhere: Collection[str] = (),
) -> tuple[pl.DataFrame, dict[str, str]]:
    """A table under the contract's names, and the names that it had.

    Args:
        table: where it is.
        aliases: of its kind.
        config: the names that were given.
        everything: whether columns that nobody knows are read, too.
        notes: takes what was recognised.
        elsewhere: columns that are read elsewhere.
    """
    names = table.columns
    found = resolved(names, aliases, config.columns)
    said = [] if notes is None else notes
    file = table.place.rpartition("/")[2]
    if renamed := {a: b for a, b in found.items() if a != b}:
        pairs = ", ".join(f"{old} as {new}" for new, old in renamed.items())
        said.append(f"columns of {file} taken: {pairs}")
    if table.has_no_header:
        said.append(f"{file} has no header: its columns are called {', '.join(names)}")
    taken = set(found.values())
    others = {one: one for one in names if one not in taken and one not in found}
    if not everything and {USER, ITEM} <= set(found):
        if left := [name for name in others if name.strip() and name not in elsewhere]:
            said.append(f"columns of {file} left out: {', '.join(left)}")
        others = {}
    wanted = found | others
    return table.read(wanted) if wanted else pl.DataFrame(), found


def read_table(
    place: str, kind: Literal["items", "users"], config: DataConfig | None = None
) -> pl.DataFrame:
    """Items or users from a file of their own, under the contract's names, not checked yet.

    Raises:
        DataError: it cannot be read.
    """
    aliases = ITEM_ALIASES if kind == "items" else USER_ALIASES
    return _table(table_at(place), aliases, config or DataConfig(), everything=True)[0]


def read_interactions(
    place: str, config: DataConfig, *, test: str | None = None, need_likes: bool = True
) -> Rated:
    """Interactions from a file of their own, checked.

    Args:
        place: the file, or the one of the training interactions where `test` is given.
        config: names of columns, scale, policies.
        test: file of the test interactions; they then have the part `test`, the others `train`.
        need_likes: whether a file in which nothing is liked is refused.

    Raises:
        DataError: a file cannot be read or breaks the contract.
    """
    files = {"": place} if test is None else {"train": place, "test": test}
    tables = {part: table_at(one) for part, one in files.items()}
    frame, counts = _interactions(tables, config, notes=[])
    hint: Feedback | None = "implicit" if counts else None
    text = any(one.is_text for one in tables.values())
    said = place if test is None else f"{place} and {test}"
    return validate_interactions(
        frame, config, place=said, hint=hint, text=text, need_likes=need_likes
    )


def read_ids(place: str) -> pl.Series:
    """Ids of items in a file: its column of items, or its only column.

    Raises:
        DataError: there is no such column.
    """
    table = table_at(place)
    name = resolved(table.columns, ITEM_ALIASES, {}).get(ITEM)
    if name is None and len(table.columns) == 1:
        # A bare list: its first id was taken for a header.
        (name,) = table.columns
        bare = table.read({ITEM: name})[ITEM].cast(pl.String)
        return pl.concat([pl.Series(ITEM, [name]), bare]) if table.is_text else bare
    if name is None:
        raise DataError(
            f"{table.place} has the columns {', '.join(table.columns)}.",
            expected=f"a column {ITEM}.", fix="rename the column of the items.",
        )  # fmt: skip
    ids = table.read({ITEM: name})[ITEM]
    return numeric_ids(ids) if table.is_text else ids


def _last_part(place: str) -> str:
    """Name of a place: its last part without wildcards and suffixes."""
    last = place.rstrip("/").rsplit("/", 1)[-1].removesuffix(".zip")
    return "".join(c for c in last.partition(".")[0] if c not in "*?[]") or "data"
