"""What a served model is: one folder with a manifest, and the tables that it must have.

A folder written by a later version of this contract is refused by name, not read in part.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from recsys_core import columns as c
from recsys_core.artifacts import Manifest
from recsys_core.errors import ConfigError
from recsys_core.graph.components import item_model

STEP: Final = "served_model"
"""Step that writes it, and the folder of the artifact root that it lies in."""
VERSION: Final = 1
"""Raise it when a reader of the version before could not read the folder rightly."""

CONTRACT: Final = "contract"
FACTS: Final = "served"
"""Names of facts in the manifest: the version, and what the reader needs beside the tables."""

ITEM_VECTORS: Final = "item_vectors"
USER_VECTORS: Final = "user_vectors"
ITEM_TEXTS: Final = "item_texts"
ITEMS: Final = "items"
USERS: Final = "users"
HISTORIES: Final = "histories"
ITEM_PROFILES: Final = "item_profiles"
USER_PROFILES: Final = "user_profiles"
EVIDENCE: Final = "evidence"
PROBE: Final = "probe"
PLACING: Final = "placing.safetensors"

TABLES: Final[Mapping[str, c.Schema]] = {
    USER_VECTORS: {c.USER: None},
    ITEM_VECTORS: {c.ITEM: None},
    ITEM_TEXTS: {c.ITEM: None},
    ITEMS: {**c.ITEMS, c.AVAILABLE: pl.Boolean},
    USERS: {c.USER: None},
    HISTORIES: c.INTERACTIONS,
    ITEM_PROFILES: c.ITEM_PROFILES,
    USER_PROFILES: c.USER_PROFILES,
    EVIDENCE: c.EVIDENCE,
    PROBE: c.PROBE,
}
"""Tables and the columns that they have at least; vectors are checked where they are read."""
ITEM_MODEL_TABLES: Final[Mapping[str, c.Schema]] = item_model.TABLES
"""The sparse item-to-item part of the score; absent where the model has none."""


def check_contract(uri: str, manifest: Manifest) -> None:
    """Refuse a folder that is no served model, or one of another version.

    Raises:
        ConfigError: it is not.
    """
    version = manifest.facts.get(CONTRACT)
    if manifest.step != STEP or not isinstance(version, int):
        raise ConfigError(
            f"{uri} holds an artifact of the step {manifest.step!r}, and no served model.",
            expected=f"a folder that the step {STEP!r} wrote.",
            fix="name a run (its folder, or its name under the folder of runs).",
        )
    if version != VERSION:
        raise ConfigError(
            f"The model at {uri} is of version {version} of its contract.",
            expected=f"version {VERSION}, which this program reads.",
            fix="run `python -m flows.personalize` with this version, or install the other one.",
        )
