"""Load a data set: a named MovieLens, or any folder that keeps the contract.

A named data set comes from, in this order: the local folder that was given, the cache, the
official archive, and (MovieLens 100K only, where GroupLens cannot be reached) the `recbole`
wheel. `Dataset.source` says which it was.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

from recsys_core.artifacts import content_hash
from recsys_core.datasets import movielens
from recsys_core.datasets import movielens_wheel as wheel
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract import Dataset, validate
from recsys_core.datasets.download import Checksum, Patience, download
from recsys_core.datasets.files import Files, folder_files, listing, zip_files
from recsys_core.datasets.titles import tidy
from recsys_core.errors import DataError, RecsysError, SourceUnavailable

logger = logging.getLogger(__name__)

GROUPLENS: Final = "https://files.grouplens.org/datasets/movielens"
ARCHIVES: Final = {
    movielens.ML_100K: Checksum(algorithm="md5", digest="0e33842e24a9c977be4e0107933c0723"),
    movielens.ML_1M: Checksum(algorithm="md5", digest="c4d9eecfca2ab87c1945afe126590906"),
}
INTERACTIONS_FILE: Final = "interactions.parquet"
ITEMS_FILE: Final = "items.parquet"
USERS_FILE: Final = "users.parquet"


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
    if config.folder is not None or config.source not in ARCHIVES:
        dataset = _from_folder(config)
    else:
        dataset = _from_publisher(config.source, cache, base_url, patience)
    dataset = validate(dataset, config)
    logger.info(
        "data set loaded",
        extra={
            "dataset": dataset.name,
            "source": dataset.source,
            "interactions": dataset.interactions.height,
            "items": dataset.items.height,
        },
    )
    return dataset


def source_fingerprint(config: DataConfig) -> str:
    """A hash that changes when local files change; of remote sources, their pinned checksums.

    Raises:
        DataError: the folder or the files that `config` names are missing.
        StorageError: they cannot be read.
    """
    if config.folder is None and config.source in ARCHIVES:
        return content_hash([config.source, str(ARCHIVES[config.source]), str(wheel.CHECKSUM)])
    files, _ = _locate(config)
    return content_hash({name: content_hash(files.read(name)) for name in sorted(files.names)})


def _from_folder(config: DataConfig) -> Dataset:
    files, kind = _locate(config)
    source = f"local folder {files.place}" if "://" not in files.place else files.place
    if kind is not None:
        return movielens.read(kind, files, source=source)
    dataset = Dataset(
        name=_last_part(files.place if config.source in ARCHIVES else config.source),
        source=source,
        interactions=files.parquet(INTERACTIONS_FILE),
        items=files.parquet(ITEMS_FILE),
        users=files.parquet(USERS_FILE) if USERS_FILE in files.names else None,
    )
    known = movielens.recognised(dataset.items)
    return replace(dataset, name=known, items=tidy(dataset.items)) if known else dataset


def _locate(config: DataConfig) -> tuple[Files, str | None]:
    """The files that the configuration points at, and which MovieLens they are (None: Parquet)."""
    place = config.folder or config.source
    names = [config.source] if config.source in ARCHIVES else list(ARCHIVES)
    if place.endswith(".zip"):
        folder, _, archive = place.rpartition("/")
        return _known(_archive(folder_files(folder or "."), archive), names)
    outer = folder_files(place)
    if INTERACTIONS_FILE in outer.names or ITEMS_FILE in outer.names:
        return _parquet_only(outer), None
    for name in names:
        if movielens.holds(name, outer):
            return outer, name
        if f"{name}.zip" in outer.names:
            return _known(_archive(outer, f"{name}.zip"), [name])
    if config.source in ARCHIVES and (Path(place).expanduser() / config.source).is_dir():
        return _locate(config.model_copy(update={"folder": f"{place}/{config.source}"}))
    raise _nothing_there(outer, names)


def _archive(outer: Files, name: str) -> Files:
    return zip_files(outer.read(name), place=f"{outer.place}/{name}")


def _known(files: Files, names: list[str]) -> tuple[Files, str]:
    for name in names:
        if movielens.holds(name, files):
            return files, name
    raise _nothing_there(files, names)


def _parquet_only(files: Files) -> Files:
    contract = frozenset({INTERACTIONS_FILE, ITEMS_FILE, USERS_FILE})
    return replace(files, names=files.names & contract)


def _nothing_there(files: Files, names: list[str]) -> DataError:
    return DataError(
        f"{files.place} holds no data set that can be read (it has {listing(files.names)}).",
        expected=f"{INTERACTIONS_FILE} and {ITEMS_FILE}, or the files or the zip archive of"
        f" {' or '.join(names)}.",
        fix="correct --data.source and --data.folder; the README shows the data contract.",
    )


def _from_publisher(name: str, cache: Path, base_url: str, patience: Patience | None) -> Dataset:
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
    return movielens.read(name, zip_files(archive.read_bytes(), place=str(archive)), source=source)


def _from_wheel(cache: Path, after: SourceUnavailable | None = None) -> Dataset:
    try:
        path = wheel.fetch_wheel(cache)
    except RecsysError as error:
        if after is None:
            raise
        seen = f"{after.seen} Instead of it: {error.seen}"
        raise type(error)(seen, expected=error.expected, fix=error.fix) from error
    why = "GroupLens could not be reached"
    source = f"{wheel.REQUIREMENT} wheel from the package index ({wheel.CHECKSUM}), since {why}"
    files = zip_files(path.read_bytes(), place=str(path))
    return movielens.read(movielens.ML_100K, files, source=source)


def _last_part(place: str) -> str:
    return place.rstrip("/").rsplit("/", 1)[-1] or "data"
