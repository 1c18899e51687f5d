"""Artifacts: what one step hands to the next, complete or absent, never half.

An artifact is a folder `<root>/<step>/<key>/` of Parquet tables (and safetensors weights) with a
`manifest.json` beside them. `key` is the hash of the step, its version, its parameters and the
content hashes of its inputs, so the same work has the same place. Every file is written under a
temporary name and renamed, the manifest last: without a manifest there is no artifact.

The root is a path or a URI of any file system that pyarrow knows (`file://`, `s3://`, ...).
"""

import errno
import hashlib
import importlib.metadata
import io
import json
import platform
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

import polars as pl
import pyarrow.fs as pafs
from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from recsys_core.artifacts.partial import Scratch
from recsys_core.columns import Schema, check
from recsys_core.errors import DamagedArtifact, DataError, StorageError

MANIFEST: Final = "manifest.json"
SCHEMA_VERSION: Final = 1
_LIBRARIES: Final = ("numpy", "polars", "pyarrow", "torch", "dgl", "sentence-transformers")


def content_hash(value: bytes | str | object) -> str:
    """SHA-256 of bytes, of a text, or of the canonical JSON of anything else."""
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes):
        value = json.dumps(value, sort_keys=True, default=_plain, separators=(",", ":")).encode()
    return hashlib.sha256(value).hexdigest()


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


def _plain(value: object) -> object:
    if isinstance(value, ArtifactRef):
        return value.content_hash
    if isinstance(value, BaseModel):
        # A configuration section leaves out what steers how the work is done, not what comes out.
        identity = getattr(value, "identity", None)
        return identity() if identity else value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} cannot be part of a content key")


def resolve(root: str) -> tuple[pafs.FileSystem, str]:
    """File system and path of a root given as a path or a URI.

    Raises:
        StorageError: the URI names a file system that is not known, or is malformed.
    """
    _refuse_secrets(root)
    try:
        if "://" in root:
            filesystem, path = pafs.FileSystem.from_uri(root)
            return filesystem, path
        return pafs.LocalFileSystem(), str(Path(root).expanduser().resolve())
    except (ValueError, OSError) as error:
        raise StorageError(
            f"Artifact root {root!r} cannot be opened: {error}",
            expected="a folder, or a URI such as file:///data/artifacts or s3://bucket/prefix.",
            fix="set artifact_root to one of these.",
        ) from error


def _refuse_secrets(root: str) -> None:
    # A URI ends up in manifests, logs and Prefect's database.
    scheme, found, rest = root.partition("://")
    if found and ("@" in rest.partition("/")[0] or "?" in rest):
        raise StorageError(
            f"The {scheme} URI of the artifact root holds a key, or options after `?`.",
            expected="s3://bucket/prefix, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and"
            " AWS_ENDPOINT_URL in the environment.",
            fix="shorten the URI, and set these variables where flows run.",
        )


def local_folder(root: str) -> Path | None:
    """The folder of a root on this machine's own disk, or None for a remote one.

    Raises:
        StorageError: the root is malformed.
    """
    filesystem, path = resolve(root)
    return Path(path) if isinstance(filesystem, pafs.LocalFileSystem) else None


class Manifest(BaseModel):
    """What is in an artifact, and how it came to be."""

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    step: str
    step_version: str
    key: str
    content_hash: str
    files: dict[str, "FileEntry"]
    parameters: dict[str, Any]
    inputs: dict[str, str]
    facts: dict[str, Any]
    """What the step wants the run's summary to say: the data source, counted fallbacks, ..."""
    libraries: dict[str, str]
    created: datetime
    seconds: float
    peak_memory_mib: float
    built_by: str
    """The flow run that built it; another run that meets it found it in the cache."""

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.files.values())


class FileEntry(BaseModel):
    """One file of an artifact."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size: int
    rows: int = 0


R = TypeVar("R", bound="ArtifactRef")


class ArtifactRef(BaseModel):
    """A small reference to an artifact: where it is, and the hash of what it holds.

    Subclasses say which step's tables it has, so that a type checker refuses mixed-up references.

    Validating one (as Prefect does when it loads a cached result) reads the files and compares
    their hashes, so a reference that was loaded can be trusted.

    Raises:
        DamagedArtifact: (as a validation error) a file is missing, truncated or altered.
    """

    model_config = ConfigDict(frozen=True)

    uri: str
    content_hash: str
    rows: int

    @model_validator(mode="after")
    def _intact(self) -> Self:
        try:
            found = verify(self.uri)
        except StorageError as error:
            raise ValueError(str(error)) from error
        if found.content_hash != self.content_hash:
            raise ValueError(f"{self.uri} holds other content than this reference names")
        return self

    def as_type(self, kind: type[R]) -> R:
        """The same reference as one of a subclass; the files are not read again."""
        found = kind.model_construct(uri=self.uri, content_hash=self.content_hash, rows=self.rows)
        return cast(R, found)  # pydantic's plugin calls it an ArtifactRef

    @cached_property
    def manifest(self) -> Manifest:
        return read_manifest(self.uri)

    def table(self, name: str) -> pl.DataFrame:
        """Read the table `name`.

        Raises:
            DamagedArtifact: the artifact has no such table, or it cannot be read.
        """
        return pl.read_parquet(io.BytesIO(self.data(f"{name}.parquet")))

    @property
    def tables(self) -> list[str]:
        """Names of its tables, in the order in which they were written."""
        return [name.removesuffix(".parquet") for name in self.manifest.files if ".parquet" in name]

    def data(self, filename: str) -> bytes:
        """Read one file whole."""
        return _read(f"{self.uri}/{filename}")


def read_manifest(uri: str) -> Manifest:
    """Read the manifest of the artifact at `uri`.

    Raises:
        DamagedArtifact: there is none, or it is not a manifest of this schema version.
    """
    try:
        manifest = Manifest.model_validate_json(_read(f"{uri}/{MANIFEST}"))
    except ValueError as error:
        raise _damaged(uri, f"its manifest cannot be read ({error})") from error
    if manifest.schema_version != SCHEMA_VERSION:
        raise _damaged(uri, f"its manifest has schema version {manifest.schema_version}")
    return manifest


def verify(uri: str) -> Manifest:
    """Read an artifact whole and compare every file with its manifest.

    Raises:
        DamagedArtifact: a file is missing, truncated or altered.
    """
    manifest = read_manifest(uri)
    for name, entry in manifest.files.items():
        data = _read(f"{uri}/{name}")
        if len(data) != entry.size:
            raise _damaged(uri, f"{name} has {len(data)} bytes, not {entry.size}")
        if content_hash(data) != entry.sha256:
            raise _damaged(uri, f"{name} was altered after it was written")
    if manifest.content_hash != _files_hash(manifest.files):
        raise _damaged(uri, "its manifest was altered after it was written")
    return manifest


def open_artifact(uri: str) -> "ArtifactRef":
    """A reference to the artifact at `uri`, read whole and found intact.

    Raises:
        DamagedArtifact: a file is missing, truncated or altered.
    """
    return _reference(uri, verify(uri))


def _files_hash(files: Mapping[str, FileEntry]) -> str:
    return content_hash({name: entry.sha256 for name, entry in files.items()})


def _damaged(uri: str, what: str) -> DamagedArtifact:
    return DamagedArtifact(
        f"Artifact {uri}: {what}.",
        expected="the files that its manifest names, unchanged.",
        fix="run the flow again; the step that wrote it is done anew.",
    )


def _read(uri: str) -> bytes:
    filesystem, path = resolve(uri)
    try:
        with filesystem.open_input_stream(path) as stream:
            data: bytes = stream.read()
            return data
    except FileNotFoundError as error:
        raise _damaged(uri.rpartition("/")[0], f"{path.rpartition('/')[2]} is missing") from error
    except OSError as error:
        raise StorageError(
            f"{uri} cannot be read: {error}", fix="check the permissions and the store."
        ) from error


class ArtifactStore(BaseModel):
    """The folder of all artifacts; an immutable value that travels to every step."""

    model_config = ConfigDict(frozen=True)

    root: str
    """A URI, or an absolute path: a relative one is taken from the working folder, once."""

    @field_validator("root")
    @classmethod
    def _absolute(cls, root: str) -> str:
        return root if "://" in root else resolve(root)[1]

    def uri(self, step: str, key: str) -> str:
        """Where the artifact of `step` with content key `key` lies."""
        return f"{self.root.rstrip('/')}/{step}/{key[:32]}"

    def check_writable(self) -> None:
        """Write a file and remove it again, so that a run fails before its work, not after.

        Raises:
            StorageError: the root cannot be written.
        """
        filesystem, path = resolve(self.root)
        probe = f"{path}/.probe-{uuid.uuid4().hex[:8]}"
        try:
            filesystem.create_dir(path, recursive=True)
            with filesystem.open_output_stream(probe) as stream:
                stream.write(b"probe")
            filesystem.delete_file(probe)
        except OSError as error:
            raise storage_error(self.root, error) from error

    def find(self, step: str, key: str) -> ArtifactRef | None:
        """The intact artifact at this key, or None where it is absent or damaged."""
        uri = self.uri(step, key)
        try:
            manifest = verify(uri)
        except DamagedArtifact:
            return None
        if manifest.key != key:
            return None
        return _reference(uri, manifest)

    def writer(self, step: str, key: str) -> "ArtifactWriter":
        """A writer for the artifact of `step` at `key`; use it as a context manager."""
        return ArtifactWriter(self.uri(step, key), step=step, key=key, root=self.root)


def _reference(uri: str, manifest: Manifest) -> ArtifactRef:
    # `model_construct` skips the validator: the caller has just verified or written every byte.
    return ArtifactRef.model_construct(
        uri=uri, content_hash=manifest.content_hash, rows=manifest.rows
    )


class ArtifactWriter:
    """Collects the files of one artifact; `commit` makes it exist.

    Leaving the context without a commit (an error, Ctrl-C) removes what was written, but for what
    is in `scratch`: there a long step keeps how far it is, for the next attempt.
    """

    def __init__(self, uri: str, *, step: str, key: str, root: str) -> None:
        self.uri, self.step, self.key, self.root = uri, step, key, root
        self.files: dict[str, FileEntry] = {}
        self.facts: dict[str, Any] = {}
        self._filesystem, self._path = resolve(uri)
        self._temporary: dict[str, str] = {}
        self.scratch = Scratch(self._filesystem, self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for path in self._temporary.values():
            try:
                self._filesystem.delete_file(path)
            except OSError:  # never written, or the disk is gone: nothing is left to remove
                continue

    def table(self, name: str, frame: pl.DataFrame, schema: Schema) -> None:
        """Write one table as Parquet after checking it against its schema."""
        check(frame, schema, table=f"{self.step}/{name}")
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        self.data(f"{name}.parquet", buffer.getvalue(), rows=frame.height)

    def data(self, filename: str, data: bytes, *, rows: int = 0) -> None:
        """Write one file as it is."""
        self._put(filename, data)
        self.files[filename] = FileEntry(sha256=content_hash(data), size=len(data), rows=rows)

    def fact(self, name: str, value: object) -> None:
        """Note something the run's summary shall say."""
        self.facts[name] = value

    def commit(
        self,
        *,
        version: str,
        parameters: Mapping[str, Any],
        inputs: Mapping[str, str],
        built_by: str,
        seconds: float,
        peak_memory_mib: float,
    ) -> ArtifactRef:
        """Rename the files to their places, write the manifest, return the reference."""
        manifest = Manifest(
            step=self.step,
            step_version=version,
            key=self.key,
            content_hash=_files_hash(self.files),
            files=self.files,
            parameters=json.loads(json.dumps(parameters, default=_plain)),
            inputs=dict(inputs),
            facts=self.facts,
            libraries=library_versions(),
            created=datetime.now(UTC),
            seconds=seconds,
            peak_memory_mib=peak_memory_mib,
            built_by=built_by,
        )
        self._put(MANIFEST, manifest.model_dump_json(indent=1).encode())
        final = {name: f"{self._path}/{name}" for name in self._temporary}
        # A damaged artifact at this place stops existing before its files are replaced.
        self._guard(partial(_delete_if_there, self._filesystem, final[MANIFEST]))
        for name in [*self.files, MANIFEST]:
            self._guard(partial(self._filesystem.move, self._temporary[name], final[name]))
            del self._temporary[name]
        self.scratch.remove()
        return _reference(self.uri, manifest)

    def _put(self, filename: str, data: bytes) -> None:
        path = f"{self._path}/.{filename}.{uuid.uuid4().hex[:8]}.tmp"
        self._temporary[filename] = path

        def write() -> None:
            self._filesystem.create_dir(self._path, recursive=True)
            with self._filesystem.open_output_stream(path) as stream:
                stream.write(data)

        self._guard(write)

    def _guard(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            raise storage_error(self.uri, error) from error


def storage_error(place: str, error: OSError) -> StorageError:
    """The error for a failed write at `place`, with advice that fits the cause."""
    advice = {
        errno.ENOSPC: "free some disk space or point artifact_root at a larger disk.",
        errno.EACCES: "give this user write permission or choose another artifact_root.",
        errno.EROFS: "the file system is read-only: choose another artifact_root.",
    }
    return StorageError(
        f"Cannot write to {place}: {error}",
        expected="a place that can be written, with enough room.",
        fix=advice.get(error.errno or 0, "check the path, its permissions and the store.")
        + " Finished steps are kept; the same command goes on from there.",
    )


def _delete_if_there(filesystem: pafs.FileSystem, path: str) -> None:
    if filesystem.get_file_info(path).type != pafs.FileType.NotFound:
        filesystem.delete_file(path)


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries whose numbers end up in artifacts."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
