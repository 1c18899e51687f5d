"""Artifacts: what one step hands to the next, complete or absent, never half."""

from recsys_core.artifacts.filesystem import (
    absolute,
    local_folder,
    resolve,
    storage_error,
    sweep_root,
)
from recsys_core.artifacts.hashing import content_hash, file_hash
from recsys_core.artifacts.manifest import MANIFEST, Manifest, has_manifest, read_manifest, verify
from recsys_core.artifacts.partial import Scratch
from recsys_core.artifacts.store import ArtifactRef, ArtifactStore, ArtifactWriter, open_artifact

__all__ = [
    "MANIFEST", "ArtifactRef", "ArtifactStore", "ArtifactWriter", "Manifest", "Scratch", "absolute",
    "content_hash", "file_hash", "has_manifest", "local_folder", "open_artifact", "read_manifest",
    "resolve", "storage_error", "sweep_root", "verify",
]  # fmt: skip
