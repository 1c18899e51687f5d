"""What a run says about its source: the place that its own configuration names.

The ingested data set is kept by content, so that it may have been read from another place before.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.published import ARCHIVES


def source_of(config: DataConfig, ingested: Mapping[str, Any]) -> str:
    """The place of the data in words.

    Args:
        config: where this run's data come from.
        ingested: facts of the ingested data set; of a published archive they say which download
            it was, which is the same for every run.
    """
    place = _place(config)
    if place is None:
        return str(ingested["source"])
    return place if "://" in place else f"local folder {Path(place).expanduser()}"


def name_of(config: DataConfig, ingested: Mapping[str, Any]) -> str:
    """The data set's name: that of the MovieLens which it was recognised as, or its folder's."""
    place, known = _place(config), str(ingested["name"])
    if place is None or known in ARCHIVES:
        return known
    return place.rstrip("/").rsplit("/", 1)[-1] or known


def _place(config: DataConfig) -> str | None:
    """The folder or URI that was given; None for a published archive."""
    if config.folder is None and config.source in ARCHIVES:
        return None
    return config.folder or config.source
