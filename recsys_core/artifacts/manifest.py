"""The manifest of an artifact: its files with their hashes, and how they came to be."""

import errno
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import pyarrow.fs as pafs
from pydantic import BaseModel, ConfigDict

from recsys_core.artifacts.filesystem import locked, resolve
from recsys_core.artifacts.hashing import content_hash
from recsys_core.errors import DamagedArtifact, StorageError

MANIFEST: Final = "manifest.json"
SCHEMA_VERSION: Final = 2
_LIBRARIES: Final = (
    "numpy", "scipy", "polars", "pyarrow", "torch", "dgl", "scikit-learn", "implicit", "openvino",
    "sentence-transformers",
)  # fmt: skip


class FileEntry(BaseModel):
    """One file of an artifact."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size: int
    rows: int = 0
    in_content: bool = True
    """Whether the artifact's content hash covers it; a ledger with its times is verified alone."""


class Manifest(BaseModel):
    """What is in an artifact, and how it came to be."""

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    step: str
    step_version: str
    key: str
    content_hash: str
    files: dict[str, FileEntry]
    parameters: dict[str, Any]
    inputs: dict[str, str]
    facts: dict[str, Any]
    """What the step wants the run's summary to say: the data source, counted fallbacks, ..."""
    content_facts: dict[str, Any] = {}
    """Those of the facts that later steps read: other values of them are another content."""
    libraries: dict[str, str]
    created: datetime
    seconds: float
    peak_memory_mib: float
    built_by: str
    """The flow run that built it; another run that meets it found it in the cache."""
    checksum: str = ""
    """Hash of all the rest: facts and parameters are as sure as the files."""

    def sealed(self) -> bytes:
        """Its JSON with the checksum filled in."""
        checksum = _checksum(self.model_dump_json().encode())
        sealed = self.model_copy(update={"checksum": checksum})
        return sealed.model_dump_json(indent=1).encode()

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.files.values())


def has_manifest(uri: str) -> bool:
    """Whether there is an artifact at `uri`; it is not read."""
    filesystem, path = resolve(uri)
    found = filesystem.get_file_info(f"{path}/{MANIFEST}")
    return bool(found.type == pafs.FileType.File)


def read_manifest(uri: str) -> Manifest:
    """Read the manifest of the artifact at `uri`.

    Raises:
        DamagedArtifact: there is none, it is not a manifest of this schema version, it lists no
            files, or it was altered.
    """
    raw = read_file(f"{uri}/{MANIFEST}")
    try:
        manifest, checksum = Manifest.model_validate_json(raw), _checksum(raw)
    except (ValueError, RecursionError) as error:
        raise _damaged(uri, f"its manifest cannot be read ({error})") from error
    if manifest.schema_version != SCHEMA_VERSION:
        raise _damaged(uri, f"its manifest has schema version {manifest.schema_version}")
    if manifest.checksum != checksum or not manifest.files:
        raise _damaged(uri, "its manifest was altered after it was written")
    return manifest


def _checksum(raw: bytes) -> str:
    return content_hash({name: one for name, one in json.loads(raw).items() if name != "checksum"})


def verify(uri: str, *, patient: bool = True) -> Manifest:
    """Read an artifact whole and compare every file with its manifest.

    What looks damaged may be about to be replaced by another process: it is looked at again when
    nobody replaces it, but for not `patient`, which is for who holds the folder's lock.

    Raises:
        DamagedArtifact: a file is missing, truncated or altered.
    """
    try:
        return _verified(uri)
    except DamagedArtifact:
        filesystem, path = resolve(uri)
        if not patient or filesystem.get_file_info(path).type == pafs.FileType.NotFound:
            raise
        with locked(filesystem, path, shared=True):
            return _verified(uri)


def _verified(uri: str) -> Manifest:
    manifest = read_manifest(uri)
    for name, entry in manifest.files.items():
        data = read_file(f"{uri}/{name}")
        if len(data) != entry.size:
            raise _damaged(uri, f"{name} has {len(data)} bytes, not {entry.size}")
        if content_hash(data) != entry.sha256:
            raise _damaged(uri, f"{name} was altered after it was written")
    if manifest.content_hash != files_hash(manifest.files, manifest.content_facts):
        raise _damaged(uri, "its manifest was altered after it was written")
    return manifest


def files_hash(files: Mapping[str, FileEntry], facts: Mapping[str, Any]) -> str:
    """Content hash of an artifact: of the files and the facts that are its content."""
    content = {name: one.sha256 for name, one in files.items() if one.in_content}
    return content_hash({**content, "facts": dict(facts)} if facts else content)


def read_file(uri: str) -> bytes:
    """Read one file of an artifact whole.

    Raises:
        DamagedArtifact: it is missing, or something else (a folder, a pipe) is in its place.
        StorageError: it cannot be read.
    """
    uri, _, name = uri.rpartition("/")
    filesystem, folder = resolve(uri)
    path = f"{folder}/{name}"
    try:
        # A pipe would be waited for.
        kind = filesystem.get_file_info(path).type
        if kind not in (pafs.FileType.File, pafs.FileType.NotFound):
            raise _damaged(uri, f"{name} is no file ({kind.name})")
        with filesystem.open_input_stream(path) as stream:
            data: bytes = stream.read()
            return data
    except FileNotFoundError as error:
        raise _damaged(uri, f"{name} is missing") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _damaged(uri, f"{name} is a link in a circle") from error
        raise StorageError(
            f"{uri}/{name} cannot be read: {error}", fix="check the permissions and the store."
        ) from error


def _damaged(uri: str, what: str) -> DamagedArtifact:
    return DamagedArtifact(
        f"Artifact {uri}: {what}.",
        expected="the files that its manifest names, unchanged.",
        fix="run the flow again; the step that wrote it is done anew.",
    )


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries whose numbers end up in artifacts."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
