"""Items that have no table of their own: what the interactions say about them, row by row.

Exports often repeat the title of an item in each of its rows. A column is taken for one of the
items when it says the same in all rows of an item, and not the same of all items: a review's text
or summary differs from one row to the next, and the one year that all rows are of is none of the
items'.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from recsys_core.columns import CAST, DIRECTORS, ITEM, KEYWORDS
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.sources.aliases import INTERACTION_ALIASES, ITEM_ALIASES, resolved
from recsys_core.datasets.sources.tables import Table

_UNNAMED: Final = (KEYWORDS, CAST, DIRECTORS)
"""Known columns of items that have no other names."""


@dataclass(frozen=True, kw_only=True)
class DescribedItems:
    """Items as interactions describe them.

    Attributes:
        table: a row per item, in the order of their first interactions: its id, and what is said.
        names: the columns of the files that it was taken from.
        notes: what was taken, one sentence each.
    """

    table: pl.DataFrame
    names: tuple[str, ...]
    notes: tuple[str, ...]


def described_items(tables: Mapping[str, Table], config: DataConfig) -> DescribedItems | None:
    """The items that the interactions describe; None where they say nothing about them.

    A column that the configuration names is taken in any case, with its first value where an item
    has several.

    Args:
        tables: of the interactions.
        config: the names that were given.

    Raises:
        DataError: a file cannot be read.
    """
    named = [(table, *_columns(table.columns, config)) for table in tables.values()]
    sources = {new: name for _, item, names in named if item for new, name in names.items()}
    if not sources:
        return None
    frames = [table.read({ITEM: item, **names}) for table, item, names in named if item]
    rows = pl.concat(frames, how="diagonal_relaxed").drop_nulls(ITEM)
    counts = rows.group_by(ITEM).agg(
        *(pl.col(name).drop_nulls().n_unique().alias(name) for name in sources),
        *(pl.col(name).count().alias(_given(name)) for name in sources),
    )
    chosen = {*config.columns, *config.text_columns}
    taken = [
        name
        for name in sources
        if counts[_given(name)].max() and (name in chosen or _of_items(name, rows, counts))
    ]
    if not taken:
        return None
    firsts = [pl.col(name).drop_nulls().first() for name in taken]
    notes = [f"items described by the interactions: {', '.join(sources[name] for name in taken)}"]
    for name in taken:
        if several := int((counts[name] > 1).sum()):
            notes.append(f"{several} items have more than one {sources[name]}: the first is taken")
    return DescribedItems(
        table=rows.group_by(ITEM, maintain_order=True).agg(firsts),
        names=tuple(sources[name] for name in taken),
        notes=tuple(notes),
    )


def _of_items(name: str, rows: pl.DataFrame, counts: pl.DataFrame) -> bool:
    """Whether a column says the same in all rows of an item, of which some have several."""
    return bool(
        counts[name].max() == 1
        and (counts[_given(name)] > 1).any()
        and rows[name].drop_nulls().n_unique() > 1
    )


def _columns(names: list[str], config: DataConfig) -> tuple[str, dict[str, str]]:
    """The column of the items' ids (empty where there is none); new name -> the file's name."""
    found = resolved(names, INTERACTION_ALIASES, config.columns)
    rest = [name for name in names if name not in found.values()]
    aliases = {target: others for target, others in ITEM_ALIASES.items() if target != ITEM}
    also = {name: name for name in (*_UNNAMED, *config.text_columns) if name in rest}
    return found.get(ITEM, ""), also | resolved(rest, aliases, config.columns)


def _given(name: str) -> str:
    """Column of the number of values."""
    return f"{name} given"
