"""Load a data set: a named MovieLens, or tables in any of the forms that people have.

A named data set comes from, in this order: the local folder that was given, the cache, the
official archive, and (MovieLens 100K only, where GroupLens cannot be reached) the `recbole`
wheel. `Dataset.source` says which it was.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import polars as pl

from recsys_core.artifacts import content_hash
from recsys_core.columns import GENRES, ITEM, PART, RATING, USER
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract import (
    Dataset,
    RawDataset,
    no_table,
    validate,
    validate_interactions,
)
from recsys_core.datasets.contract.casts import PARTS, numeric_ids
from recsys_core.datasets.contract.policies import Rated
from recsys_core.datasets.sources import movielens
from recsys_core.datasets.sources import movielens_wheel as wheel
from recsys_core.datasets.sources.aliases import (
    COUNTS,
    INTERACTION_ALIASES,
    ITEM_ALIASES,
    USER_ALIASES,
    Aliases,
    plain,
    resolved,
)
from recsys_core.datasets.sources.discovery import by_columns, others_than, seen_in
from recsys_core.datasets.sources.download import Checksum, Patience, download
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
from recsys_core.datasets.sources.titles import tidy, year_split_off
from recsys_core.errors import DataError, RecsysError, SourceUnavailable
from recsys_core.interactions.feedback import Feedback

logger = logging.getLogger(__name__)

GROUPLENS: Final = "https://files.grouplens.org/datasets/movielens"
ARCHIVES: Final = {
    movielens.ML_100K: Checksum(algorithm="md5", digest="0e33842e24a9c977be4e0107933c0723"),
    movielens.ML_1M: Checksum(algorithm="md5", digest="c4d9eecfca2ab87c1945afe126590906"),
}
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


def load_dataset(
    config: DataConfig,
    cache: Path,
    *,
    base_url: str = GROUPLENS,
    patience: Patience | None = None,
) -> Dataset:
    """The data set that `config` names, checked against the contract.

    Args:
        config: source, local folder, rating scale.
        cache: folder for downloaded archives.
        base_url: where the official archives lie.
        patience: of the download.

    Raises:
        DataError: a file is missing, damaged or breaks the contract.
        SourceUnavailable: nothing local, and no remote source answers.
        StorageError: a folder cannot be read, or the cache cannot be written.
    """
    if _is_local(config):
        raw = _read(locate(config), config)
    else:
        raw = _from_publisher(config.source, cache, base_url, patience)
    dataset = validate(
        raw,
        config,
        candidates=None if config.candidates is None else read_ids(config.candidates),
        exclude=None if config.exclude is None else read_ids(config.exclude),
    )
    extra = {
        "dataset": dataset.name, "source": dataset.source,
        "interactions": dataset.interactions.height, "items": dataset.items.height,
    }  # fmt: skip
    logger.info("data set loaded", extra=extra)
    for note in dataset.notes:
        logger.info("data: %s", note)
    return dataset


def source_fingerprint(config: DataConfig) -> str:
    """A hash that changes when local files change; of remote sources, their pinned checksums.

    Raises:
        DataError: the folder or the files that `config` names are missing.
        StorageError: they cannot be read.
    """
    lists = (config.candidates, config.exclude)
    allowed = [None if place is None else table_at(place).digest() for place in lists]
    if not _is_local(config):
        pinned = [config.source, str(ARCHIVES[config.source]), str(wheel.CHECKSUM)]
        return content_hash(pinned + [one for one in allowed if one is not None])
    found = locate(config)
    if found.movielens is not None and found.files is not None:
        names = sorted(found.files.names)
        content = {name: Table(found.files, (name,)).digest() for name in names}
    else:
        content = {"/".join(one.parts): one.digest() for one in found.tables()}
    return content_hash([content, *allowed])


def check_source(config: DataConfig) -> None:
    """Refuse local data that are not there; nothing is read or downloaded.

    Raises:
        DataError: the folder or the files that `config` names are missing.
        StorageError: they cannot be listed.
    """
    if _is_local(config):
        locate(config)


def _is_local(config: DataConfig) -> bool:
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


def _read(found: Located, config: DataConfig) -> RawDataset:
    source = found.place if "://" in found.place else f"local folder {found.place}"
    name = _last_part(found.place if config.source in ARCHIVES else config.source)
    if found.movielens is not None and found.files is not None:
        raw = movielens.read(found.movielens, found.files, name=name, source=source)
        if found.items is None:
            return raw
        return replace(raw, items=_table(found.items, ITEM_ALIASES, config, everything=True)[0])
    notes: list[str] = []
    text = {"interactions"} if next(iter(found.interactions.values())).is_text else set()
    interactions, counts = _interactions(found.interactions, config, notes=notes)
    tables: dict[str, pl.DataFrame | None] = {"items": None, "users": None}
    for kind, one, aliases in (
        ("items", found.items, ITEM_ALIASES), ("users", found.users, USER_ALIASES),
    ):  # fmt: skip
        if one is not None:
            tables[kind], _ = _table(one, aliases, config, everything=True, notes=notes)
            text |= {kind} if one.is_text else set()
    items = tables["items"]
    known = None if items is None else movielens.recognised(items)
    if known and items is not None and items.schema.get(GENRES) == pl.List(pl.String):
        items = tidy(items)
    elif items is not None and (split := year_split_off(items)) is not items:
        items = split
        notes.append("titles end in a year, which was split off")
    if found.left_out:
        notes.append(f"files left out: {', '.join(found.left_out)}")
    return RawDataset(
        name=known or name, source=source, interactions=interactions,
        items=items, users=tables["users"], text=frozenset(text),
        feedback="implicit" if counts else None,
        notes=tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def _interactions(
    tables: Mapping[str, Table], config: DataConfig, *, notes: list[str]
) -> tuple[pl.DataFrame, bool]:
    """All interactions, with their part where they lie apart; whether the ratings are counts."""
    frames, counts = [], False
    for part, table in tables.items():
        frame, names = _table(table, INTERACTION_ALIASES, config, notes=notes)
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
) -> tuple[pl.DataFrame, dict[str, str]]:
    """A table under the contract's names, and the names that it had.

    Args:
        table: where it is.
        aliases: of its kind.
        config: the names that were given.
        everything: whether columns that nobody knows are read, too.
        notes: takes what was recognised.
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
        if left := [name for name in others if name.strip()]:
            said.append(f"columns of {file} left out: {', '.join(left)}")
        others = {}
    wanted = found | others
    return table.read(wanted) if wanted else pl.DataFrame(), found


def table_at(place: str) -> Table:
    """The table in a file, folder of parts or glob.

    Raises:
        DataError: there is nothing, or nothing that can be read.
    """
    return only(*table_files(place))


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


def _from_publisher(name: str, cache: Path, base_url: str, patience: Patience | None) -> RawDataset:
    archive, checksum = cache / f"{name}.zip", ARCHIVES[name]
    fallback = name == movielens.ML_100K
    if fallback and not archive.exists() and wheel.cached_wheel(cache):
        return _from_wheel(cache)
    try:
        download(f"{base_url}/{name}.zip", archive, checksum, patience=patience)
    except SourceUnavailable as error:
        if not fallback:
            raise
        logger.warning("GroupLens cannot be reached", extra={"cause": error.seen})
        return _from_wheel(cache, after=error)
    source = f"GroupLens archive {name}.zip ({checksum})"
    return _published(zip_files(archive, place=str(archive)), name, source)


def _from_wheel(cache: Path, after: SourceUnavailable | None = None) -> RawDataset:
    try:
        path = wheel.fetch_wheel(cache)
    except RecsysError as error:
        if after is None:
            raise
        seen = f"{after.seen} Instead of it: {error.seen}"
        raise type(error)(seen, expected=error.expected, fix=error.fix) from error
    why = "GroupLens could not be reached"
    source = f"{wheel.REQUIREMENT} wheel from the package index ({wheel.CHECKSUM}), since {why}"
    return _published(zip_files(path, place=str(path)), movielens.ML_100K, source)


def _published(files: Files, name: str, source: str) -> RawDataset:
    form = movielens.form_of(files)
    if form is None:
        raise no_table(files.place, "interactions", f"it has {listing(files.names)}")
    return replace(movielens.read(form, files, name=name, source=source), name=name)


def _last_part(place: str) -> str:
    """Name of a place: its last part without wildcards and suffixes."""
    last = place.rstrip("/").rsplit("/", 1)[-1].removesuffix(".zip")
    return "".join(c for c in last.partition(".")[0] if c not in "*?[]") or "data"
