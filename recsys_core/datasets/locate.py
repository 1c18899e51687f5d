"""Where the tables of a configuration lie: files by name, or told by their columns."""

from dataclasses import dataclass, replace
from typing import Final

from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract import no_table
from recsys_core.datasets.contract.casts import PARTS
from recsys_core.datasets.published import ARCHIVES
from recsys_core.datasets.sources import movielens
from recsys_core.datasets.sources.discovery import by_columns, others_than, seen_in
from recsys_core.datasets.sources.files import (
    Files,
    exists_as_file,
    folder_files,
    is_glob,
    listing,
    table_files,
    zip_files,
)
from recsys_core.datasets.sources.tables import Table, find, only
from recsys_core.errors import DataError

_INTERACTION_FILES: Final = (
    "interactions", "ratings", "reviews", "events", "purchases", "transactions", "plays", "clicks",
)  # fmt: skip
_ITEM_FILES: Final = ("items", "movies", "products", "books", "metadata", "meta", "catalog")
_USER_FILES: Final = ("users", "customers", "members")


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where the tables of a configuration lie.

    Attributes:
        place: the folder, archive or file.
        movielens: form of a published MovieLens in `files`, if it is one.
        files: its files.
        interactions: the table, in as many tables as `part` has where they lie apart.
        items: None where there is no such table.
        users: None where there is no such table.
        left_out: further tables of the folder, where its tables were told by their columns.
    """

    place: str
    files: Files | None = None
    movielens: str | None = None
    interactions: dict[str, Table]
    items: Table | None = None
    users: Table | None = None
    left_out: tuple[str, ...] = ()

    def tables(self) -> list[Table]:
        """Every table that is read."""
        others = [one for one in (self.items, self.users) if one is not None]
        return [*self.interactions.values(), *others]


def is_local(config: DataConfig) -> bool:
    """Whether the tables are the user's own files, and nothing has to be downloaded."""
    own = config.folder is not None or config.interactions is not None
    return own or config.source not in ARCHIVES


def locate(config: DataConfig) -> Located:
    """Where the tables lie that `config` names.

    Raises:
        DataError: there is nothing, or no interactions among it.
        StorageError: a folder cannot be read.
    """
    explicit = {
        kind: table_at(place)
        for kind in ("interactions", "items", "users")
        if (place := getattr(config, kind)) is not None
    }
    if "interactions" in explicit:
        return _with_own(Located(place=str(config.interactions), interactions={}), explicit)
    place = config.folder or config.source
    if not place.endswith(".zip") and (is_glob(place) or exists_as_file(place)):
        table = table_at(place)
        return _with_own(Located(place=place, interactions={"": table}), explicit)
    return _with_own(_in_folder(config, place), explicit)


def _with_own(found: Located, explicit: dict[str, Table]) -> Located:
    own = {kind: table for kind, table in explicit.items() if kind != "interactions"}
    if "interactions" in explicit:
        return replace(found, interactions={"": explicit["interactions"]}, **own)  # type: ignore[arg-type]
    return replace(found, **own)  # type: ignore[arg-type]


def _in_folder(config: DataConfig, place: str) -> Located:
    wanted = config.source if config.source in ARCHIVES else None
    files = _opened(place)
    if (form := movielens.form_of(files)) is not None:
        return Located(place=files.place, files=files, movielens=form, interactions={})
    if (found := _tables(files, config)) is not None:
        return found
    archives = [wanted] if wanted else sorted(name for name in files.names if _is_archive(name))
    for name in archives:
        archive = name if name.endswith(".zip") else f"{name}.zip"
        if archive in files.names:
            return _in_folder(config.model_copy(update={"source": "archive"}),
                              f"{place.rstrip('/')}/{archive}")  # fmt: skip
    for name in (wanted,) if wanted else ():
        if name in files.folders:
            return _in_folder(config.model_copy(update={"source": name}), f"{place}/{name}")
    seen = seen_in(files) or listing(files.names | files.folders)
    raise no_table(files.place, "interactions", f"it has {seen}")


def _is_archive(name: str) -> bool:
    return name.startswith("ml-") and name.endswith(".zip")


def _opened(place: str) -> Files:
    if not place.endswith(".zip"):
        return folder_files(place)
    folder, _, archive = place.rpartition("/")
    outer = folder_files(folder or ("/" if place.startswith("/") else "."))
    if archive not in outer.names:
        raise DataError(
            f"Archive {place} does not exist.", expected="a zip archive.",
            fix="correct --data.source or --data.folder.",
        )  # fmt: skip
    path = outer.path(archive)
    return zip_files(outer.read(archive) if path is None else path, place=place)


def _tables(files: Files, config: DataConfig) -> Located | None:
    """Tables by the usual names, else by their columns; train, valid and test may lie apart."""
    names = _atomic_names(files)
    whole = find(files, _INTERACTION_FILES) or names.get("inter")
    interactions = {"": whole} if whole is not None else {
        part: table for part, words in PARTS.items() if (table := find(files, words)) is not None
    }  # fmt: skip
    if whole is None and "train" not in interactions:
        interactions = {}
    tables = {
        "items": find(files, _ITEM_FILES) or names.get("item"),
        "users": find(files, _USER_FILES) or names.get("user"),
    }
    if not interactions or None in tables.values():
        known = [one for one in (*interactions.values(), *tables.values()) if one is not None]
        others = by_columns(files, config.columns, but=known, sure=bool(interactions))
        tables["items"] = tables["items"] or others.get("items")
        if not interactions and "interactions" in others:
            interactions = {"": others["interactions"]}
            tables["users"] = tables["users"] or others.get("users")
    if not interactions:
        return None
    taken = [one for one in (*interactions.values(), *tables.values()) if one is not None]
    return Located(
        place=files.place, interactions=interactions, items=tables["items"],
        users=tables["users"], left_out=others_than(files, taken),
    )  # fmt: skip


def _atomic_names(files: Files) -> dict[str, Table]:
    """RecBole's atomic files: `NAME.inter`, `NAME.item`, `NAME.user`."""
    return {
        name.rpartition(".")[2]: Table(files, (name,))
        for name in sorted(files.names)
        if name.endswith((".inter", ".item", ".user"))
    }


def table_at(place: str) -> Table:
    """The table in a file, folder of parts or glob.

    Raises:
        DataError: there is nothing, or nothing that can be read.
    """
    return only(*table_files(place))
