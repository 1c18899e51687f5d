"""Step `ingest`: read a data set from its source and check it against the contract."""

from pathlib import Path

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import AVAILABLE, INTERACTIONS, ITEM, ITEMS, USER
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract import Dataset
from recsys_core.datasets.load import load_dataset
from tasks.runtime.references import ALLOW_REPEATS, SCALE, DatasetRef
from tasks.runtime.step import step

CACHE = Path(".cache") / "datasets"
"""Where downloaded archives are kept, below the working directory."""


@step("ingest", version="16", returns=DatasetRef, tags=("network",))
def ingest(out: ArtifactWriter, *, config: DataConfig, fingerprint: str) -> None:
    """Read, check and store the interactions, items and users of a data set.

    Args:
        out: tables `interactions`, `items`, `item_ids`, `users`; the facts hold the scale that was
            found, and what was recognised, changed and left out.
        config: source and rating scale.
        fingerprint: hash of what the source holds (`datasets.load.source_fingerprint`), so that
            a changed file is ingested anew and an unchanged one is not.
    """
    dataset = load_dataset(config, CACHE)
    out.table("interactions", dataset.interactions, INTERACTIONS)
    out.table("items", dataset.items, ITEMS)
    out.table(
        "item_ids", dataset.items.select(ITEM, AVAILABLE), {ITEM: None, AVAILABLE: pl.Boolean}
    )
    out.table("users", _all_users(dataset), {USER: None})
    out.fact("name", dataset.name)
    out.fact("source", dataset.source)
    out.fact("fingerprint", fingerprint)
    out.fact(SCALE, dataset.scale.model_dump(mode="json"), in_content=True)
    out.fact(ALLOW_REPEATS, config.allow_repeats, in_content=True)
    out.fact("notes", list(dataset.notes))


def _all_users(dataset: Dataset) -> pl.DataFrame:
    """Everybody known: users with interactions, and those that only the users table has."""
    active = dataset.interactions.select(USER).unique()
    if dataset.users is None:
        return active.sort(USER)
    listed = dataset.users.with_columns(pl.col(USER).cast(active.schema[USER]))
    return active.join(listed, on=USER, how="full", coalesce=True).sort(USER)
