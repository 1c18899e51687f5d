"""Profiles that somebody published, read for a step that writes the rest."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.profiles.ready_made import read_ready_made
from recsys_core.profiles.schema import Profile


def published_profiles(
    out: ArtifactWriter, path: str | None, fingerprint: str | None, key: str, known: pl.Series
) -> dict[int | str, Profile]:
    """Id -> ready-made profile; how many were unusable or shortened is written into the facts.

    Args:
        out: gets the facts.
        path: the file; None for none.
        fingerprint: its content hash.
        key: its id column.
        known: ids of the data set; profiles of others are counted and left out.
    """
    if path is None:
        return {}
    ready = read_ready_made(path, key, known)
    out.fact("published_file", fingerprint)
    out.fact("published", len(ready.profiles))
    out.fact("published_unknown_ids", ready.unknown)
    out.fact("published_empty", ready.empty)
    out.fact("published_trimmed", ready.trimmed)
    return ready.profiles
