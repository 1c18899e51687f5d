"""Find the tables of a folder by their columns, where the names of the files say nothing.

`BX-Book-Ratings.csv` and `yelp_academic_dataset_review.json` are interactions because they have a
user and an item, whatever they are called.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from recsys_core.columns import ITEM, RATING, TIMESTAMP, TITLE, USER
from recsys_core.datasets.sources.aliases import (
    FIRST_UNNAMED,
    INTERACTION_ALIASES,
    ITEM_ALIASES,
    USER_ALIASES,
    Aliases,
    plain,
    resolved,
)
from recsys_core.datasets.sources.files import Files, visible
from recsys_core.datasets.sources.tables import SUFFIXES, Table, suffix
from recsys_core.errors import DataError

Chosen = Mapping[str, str | Sequence[str]]
Wanted = Callable[[Mapping[str, str]], bool]

_KINDS: Final[Mapping[str, tuple[Aliases, Wanted]]] = {
    "interactions": (INTERACTION_ALIASES, lambda found: {USER, ITEM} <= set(found)),
    "items": (ITEM_ALIASES, lambda found: {ITEM, TITLE} <= set(found)),
    "users": (USER_ALIASES, lambda found: plain(found.get(USER, "id")) != "id"),
}


def by_columns(
    files: Files, chosen: Chosen, *, but: Sequence[Table] = (), sure: bool = False
) -> dict[str, Table]:
    """The tables of a folder or archive by kind: interactions, items and users.

    Of several files of a kind, the one with a rating is taken, then the one with a time.

    Args:
        files: the folder or archive.
        chosen: names of columns, as configured.
        but: tables that are known already.
        sure: whether the interactions are among them.

    Raises:
        DataError: several files could be the interactions, and nothing tells them apart.
    """
    headers = {name: _columns(files, name) for name in others_than(files, but)}
    found: dict[str, list[tuple[int, str]]] = {kind: [] for kind in _KINDS}
    for name, columns in headers.items():
        for kind, (aliases, wanted) in _KINDS.items():
            names = resolved(columns, aliases, chosen)
            if wanted(names):
                found[kind].append((2 * (RATING in names) + (TIMESTAMP in names), name))
                break  # the kinds are in this order: a user and an item are interactions
    tables = {}
    for kind, candidates in found.items():
        best = max((rank for rank, _ in candidates), default=0)
        names_of_best = [name for rank, name in candidates if rank == best]
        if len(names_of_best) > 1 and kind == "interactions" and not sure:
            raise DataError(
                f"{files.place} has {len(names_of_best)} files that could be the {kind}:"
                f" {', '.join(names_of_best[:8])}.",
                expected=f"one table of {kind}.",
                fix=f"name it: --data.{kind}.",
            )
        if names_of_best:
            tables[kind] = Table(files, (names_of_best[0],))
    return tables


def others_than(files: Files, known: Sequence[Table]) -> tuple[str, ...]:
    """Names of further files that may be tables."""
    names = {name for table in known for name in table.parts}
    return tuple(name for name in _tables(files) if name not in names)


def seen_in(files: Files) -> str:
    """Files with their columns, and tables in folders below, for a message."""
    shown = []
    for folder in sorted(files.folders):
        if inside := [name for name in files.parts(folder) if suffix(name) in SUFFIXES]:
            place = inside[0].rpartition("/")[0]
            shown.append(f"{inside[0]}: try --data.source {files.place}/{place}")
    for name in _tables(files)[:4]:
        columns = _columns(files, name)
        more = ", ..." if len(columns) > 8 else ""
        unnamed = columns[:1] == [FIRST_UNNAMED]
        how = " (it has no header: --data.columns '{user_id: column_0, ...}')" if unnamed else ""
        shown.append(f"{name} with columns {', '.join(columns[:8])}{more}{how}")
    return "; ".join(shown)


def _tables(files: Files) -> list[str]:
    return [name for name in visible(files.names) if suffix(name) in SUFFIXES]


def _columns(files: Files, name: str) -> list[str]:
    try:
        return Table(files, (name,)).columns_of_head
    except DataError:
        return []  # a README that ends in .txt is no table
