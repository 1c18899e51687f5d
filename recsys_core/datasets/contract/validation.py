"""The contract of a data set: interactions, items and, where known, users (DESIGN, section 2).

`validate` casts what people have to the contract's types, applies the policies of the
configuration and counts what each did. What cannot be used is an error that names all problems of
all tables at once, with the first offending rows.
"""

import polars as pl

from recsys_core.columns import (
    AVAILABLE,
    GENRES,
    INTERACTIONS,
    ITEM,
    ITEMS,
    TITLE,
    USER,
    check,
)
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract.dataset import Dataset, RawDataset
from recsys_core.datasets.contract.findings import Findings, counted, raise_all
from recsys_core.datasets.contract.policies import Rated, apply_policies
from recsys_core.datasets.contract.tables import interactions_table, items_table, users_table
from recsys_core.interactions.feedback import Feedback


def validate(
    raw: RawDataset,
    config: DataConfig,
    *,
    candidates: pl.Series | None = None,
    exclude: pl.Series | None = None,
) -> Dataset:
    """The data set with each table cast and checked, and the tables checked against one another.

    Args:
        raw: the tables as they were read.
        config: scale, policies, chosen columns.
        candidates: ids of the only items that may be recommended.
        exclude: ids of items that may not be.

    Raises:
        DataError: a table breaks the contract, or the tables have nothing to do with one another.
    """
    where = f"({raw.source})"
    of_interactions = _interaction_findings(f"Interactions {where}")
    of_items = Findings(f"Items {where}", expected="one row per item with an id and a title.")
    of_users = Findings(f"Users {where}", expected="one row per user with an id.")
    across = Findings(f"The data set {where}", expected="the same ids in every table.")
    table = interactions_table(raw.interactions, of_interactions, text="interactions" in raw.text)
    items = users = None
    if raw.items is not None:
        items = items_table(raw.items, config, of_items, text="items" in raw.text)
    elif config.text_columns:
        of_items.add("there is no items table", "leave --data.text_columns out")
    if raw.users is not None:
        users = users_table(raw.users, of_users, text="users" in raw.text)
    if not of_interactions:
        table, items = _one_kind_of_ids(ITEM, table, items, across, "items")
        table, users = _one_kind_of_ids(USER, table, users, across, "users")
        table, items = _known_items(table, items, config, across)
    every = [of_interactions, of_items, of_users, across]
    rated = None
    if not of_interactions and not across:
        rated = apply_policies(table, config, of_interactions, hint=raw.feedback)
    if rated is not None and items is not None:
        items = _allowed(items, candidates, exclude, across)
    raise_all(every)
    if rated is None or items is None:
        raise RuntimeError("a table is missing although nothing was found")
    return Dataset(
        name=raw.name, source=raw.source, interactions=rated.table,
        items=check(items, ITEMS, table=f"Items {where}"), users=users, scale=rated.scale,
        notes=(*raw.notes, *(note for one in every for note in one.notes)),
    )  # fmt: skip


def validate_interactions(
    frame: pl.DataFrame,
    config: DataConfig,
    *,
    place: str,
    hint: Feedback | None = None,
    text: bool = False,
    need_likes: bool = True,
) -> Rated:
    """Interactions as `columns.INTERACTIONS`, rows in the file's order, with their scale.

    Args:
        frame: columns user_id, item_id and, optionally, rating, timestamp, part and position.
        config: scale and policies.
        place: the file's name, for the error.
        hint: kind of feedback, where the source says so.
        text: whether numbers are texts still.
        need_likes: whether a table in which nothing is liked is refused: nothing can be learned
            from it, and a list can be made for its users.

    Raises:
        DataError: see the module; all problems are named at once.
    """
    findings = _interaction_findings(place)
    table = interactions_table(frame, findings, text=text)
    rated = None
    if not findings:
        rated = apply_policies(table, config, findings, hint=hint, need_likes=need_likes)
    findings.raise_if_any()
    if rated is None:
        raise RuntimeError("the table is missing although nothing was found")
    check(rated.table, INTERACTIONS, table=place)
    return rated


def validate_items(
    frame: pl.DataFrame, config: DataConfig | None = None, *, place: str
) -> pl.DataFrame:
    """Items as `columns.ITEMS` plus the columns that are known or chosen, texts normalised.

    Raises:
        DataError: see the module; all problems are named at once.
    """
    findings = Findings(place, expected="one row per item with an id and a title.")
    table = items_table(frame, config or DataConfig(), findings, text=False)
    findings.raise_if_any()
    return check(table, ITEMS, table=place)


def validate_users(frame: pl.DataFrame, *, place: str) -> pl.DataFrame:
    """Users with a unique, known `user_id`; further columns are kept as they are.

    Raises:
        DataError: the column is missing or of a wrong type, or an id is null or repeated.
    """
    findings = Findings(place, expected="one row per user with an id.")
    table = users_table(frame, findings, text=False)
    findings.raise_if_any()
    return table


def _interaction_findings(place: str) -> Findings:
    return Findings(place, expected="one row per (user, item) with a rating on the scale.")


def _one_kind_of_ids(
    name: str,
    interactions: pl.DataFrame,
    other: pl.DataFrame | None,
    findings: Findings,
    called: str,
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Both tables with ids of one type: integers become strings where the other has strings."""
    if other is None or name not in other.columns or name not in interactions.columns:
        return interactions, other
    here, there = interactions.schema[name], other.schema[name]
    text = pl.col(name).cast(pl.String)
    if here != there:
        interactions, other = interactions.with_columns(text), other.with_columns(text)
        findings.notes.append(
            f"{name} is {here} in the interactions and {there} in the {called}: compared as text"
        )
    if not other.is_empty() and interactions.height:
        known = interactions[name].unique().is_in(other[name].unique().implode())
        if not known.any():
            findings.add(
                f"no {name} of the interactions is in the {called} ({here} such as"
                f" {interactions[name][0]!r}, and {there} such as {other[name][0]!r})",
                f"write {name} alike in both files",
            )
    return interactions, other


def _known_items(
    interactions: pl.DataFrame,
    items: pl.DataFrame | None,
    config: DataConfig,
    findings: Findings,
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Interactions and items after the policy of unknown items."""
    if items is None:
        found = interactions[ITEM].unique().sort()
        findings.notes.append(
            f"there is no items table: each of {counted(found.len(), 'item')} has its id as title"
        )
        return interactions, _bare(found, available=True)
    if ITEM not in items.columns or findings:
        return interactions, items
    ids = interactions[ITEM].unique()
    unknown = ids.filter(~ids.is_in(items[ITEM].implode())).sort()
    available = items if AVAILABLE in items.columns else items.with_columns(
        pl.lit(True).alias(AVAILABLE))  # fmt: skip
    if unknown.is_empty():
        return interactions, available
    theirs = pl.col(ITEM).is_in(unknown.implode())
    if config.unknown_items == "error":
        findings.add_rows(
            interactions, theirs, "name an item that is unknown",
            "add these items to the items file, or set --data.unknown_items to keep or drop",
            show=(USER, ITEM),
        )  # fmt: skip
        return interactions, available
    rows = interactions.filter(theirs).height
    if config.unknown_items == "drop":
        findings.note(rows, "interaction", "with an item that the items table lacks dropped")
        return interactions.filter(~theirs), available
    findings.note(
        rows, "interaction",
        f"with {counted(unknown.len(), 'item')} that the items table lacks: kept, but the items"
        " are never recommended",
    )  # fmt: skip
    added = _bare(unknown, available=False)
    return interactions, pl.concat([available, added], how="diagonal").with_columns(
        pl.col(name).fill_null([]) for name, kind in available.schema.items()
        if isinstance(kind, pl.List)
    )  # fmt: skip


def _bare(ids: pl.Series, *, available: bool) -> pl.DataFrame:
    """Items of which only the id is known, which is their title, too."""
    schema = {name: kind for name, kind in ITEMS.items() if name not in (ITEM, TITLE, GENRES)}
    return pl.DataFrame({ITEM: ids}).with_columns(
        pl.col(ITEM).cast(pl.String).alias(TITLE),
        pl.lit([], pl.List(pl.String)).alias(GENRES),
        *(pl.lit(None, kind).alias(name) for name, kind in schema.items()),
        pl.lit(available).alias(AVAILABLE),
    ).select(*ITEMS, AVAILABLE)  # fmt: skip


def _allowed(
    items: pl.DataFrame,
    candidates: pl.Series | None,
    exclude: pl.Series | None,
    findings: Findings,
) -> pl.DataFrame:
    """Items with `available` as it holds for this run."""
    allowed = pl.col(AVAILABLE)
    for ids, called, inside in ((candidates, "candidates", True), (exclude, "exclude", False)):
        if ids is None:
            continue
        known = ids.cast(pl.String).cast(items.schema[ITEM], strict=False)
        theirs = pl.col(ITEM).is_in(known.drop_nulls().implode())
        allowed &= theirs if inside else ~theirs
        foreign = known.is_null() | ~known.is_in(items[ITEM].implode())
        findings.note(int(foreign.sum()), "id", f"of --data.{called} names no item")
    items = items.with_columns(allowed.alias(AVAILABLE))
    left = int(items[AVAILABLE].sum())
    if not left:
        findings.add(
            "no item is left that may be recommended",
            "check --data.candidates, --data.exclude and the column available of the items",
        )
    findings.note(items.height - left, "item", "may not be recommended")
    return items
