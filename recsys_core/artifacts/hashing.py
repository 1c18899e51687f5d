"""Content hashes: of bytes, of files, of the canonical JSON of parameters."""

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel

from recsys_core.errors import DataError


def content_hash(value: bytes | str | object) -> str:
    """SHA-256 of bytes, of a text, or of the canonical JSON of anything else."""
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes):
        value = canonical_json(value).encode()
    return hashlib.sha256(value).hexdigest()


def canonical_json(value: object) -> str:
    """JSON with sorted keys; models stand for their `identity()`, or else for all their fields.

    A configuration section's identity leaves out what steers how the work is done and not what
    comes out of it; an artifact's reference is the hash of its contents.

    Raises:
        TypeError: something in it can be no part of a content key.
    """
    return json.dumps(value, sort_keys=True, default=_identity, separators=(",", ":"))


def _identity(value: object) -> object:
    if not isinstance(value, BaseModel):
        raise TypeError(f"{type(value).__name__} cannot be part of a content key")
    identity = getattr(value, "identity", None)
    return identity() if identity else value.model_dump(mode="json")


def file_hash(path: str | None) -> str | None:
    """Content hash of a file that the user names; None for no file.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    if path is None:
        return None
    try:
        return content_hash(Path(path).expanduser().read_bytes())
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error}", expected="a readable file.", fix="check the path."
        ) from error
