"""Artifacts on disk: what one step hands to the next, complete or absent, never half.

An artifact is a folder `<root>/<step>/<key>/` of Parquet tables (and safetensors weights) with a
`manifest.json` beside them. `key` is the hash of the step, its version, its parameters and the
content hashes of its inputs, so the same work has the same place. Every file is written under a
temporary name and renamed, the manifest last: without a manifest there is no artifact.

The root is a path or a URI of any file system that pyarrow knows (`file://`, `s3://`, ...).
"""

import io
import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, Self, TypeVar, cast

import polars as pl
import pyarrow.fs as pafs
from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from recsys_core.artifacts.filesystem import locked, resolve, storage_error, sweep
from recsys_core.artifacts.hashing import canonical_json, content_hash
from recsys_core.artifacts.manifest import (
    MANIFEST,
    FileEntry,
    Manifest,
    files_hash,
    library_versions,
    read_file,
    read_manifest,
    verify,
)
from recsys_core.artifacts.partial import Scratch
from recsys_core.columns import Schema, check
from recsys_core.errors import DamagedArtifact, StorageError
from recsys_core.processes import temporary_name

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
    only: tuple[str, ...] = ()
    """Tables that it is about: it reads no other, and its hash covers no other. Empty: all."""

    @model_validator(mode="after")
    def _intact(self) -> Self:
        try:
            found = verify(self.uri)
        except StorageError as error:
            raise ValueError(str(error)) from error
        if _hash_of(found, self.only) != self.content_hash:
            raise ValueError(f"{self.uri} holds other content than this reference names")
        return self

    def identity(self) -> str:
        """What content keys are made of: the same content elsewhere is the same input."""
        return self.content_hash

    def as_type(self, kind: type[R]) -> R:
        """The same reference as one of a subclass; the files are not read again."""
        found = kind.model_construct(
            uri=self.uri, content_hash=self.content_hash, rows=self.rows, only=self.only
        )
        return cast(R, found)  # pydantic's plugin calls it an ArtifactRef

    def narrowed(self, kind: type[R], *tables: str) -> R:
        """A reference to some of the tables: what rests on it stays when others change."""
        files = self.manifest.files
        found = kind.model_construct(
            uri=self.uri,
            content_hash=_hash_of(self.manifest, tables),
            rows=sum(files[f"{name}.parquet"].rows for name in tables),
            only=tables,
        )
        return cast(R, found)

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
        found = [one.removesuffix(".parquet") for one in self.manifest.files if ".parquet" in one]
        return [name for name in found if not self.only or name in self.only]

    def data(self, filename: str) -> bytes:
        """Read one file whole.

        Raises:
            LookupError: the reference is narrowed to other tables.
        """
        if self.only and filename.removesuffix(".parquet") not in self.only:
            raise LookupError(
                f"{filename} is not for this reference, which is to {', '.join(self.only)}"
                f" of {self.uri} alone."
            )
        return read_file(f"{self.uri}/{filename}")


def _hash_of(manifest: Manifest, tables: tuple[str, ...]) -> str:
    if not tables:
        return manifest.content_hash
    names = [f"{name}.parquet" for name in tables]
    return files_hash({name: manifest.files[name] for name in names if name in manifest.files}, {})


def open_artifact(uri: str) -> "ArtifactRef":
    """A reference to the artifact at `uri`, read whole and found intact.

    Raises:
        DamagedArtifact: a file is missing, truncated or altered.
    """
    return _reference(uri, verify(uri))


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
        self.content_facts: dict[str, Any] = {}
        self._filesystem, self._path = resolve(uri)
        self._temporary: dict[str, str] = {}
        sweep(self._filesystem, self._path)
        self.scratch = Scratch(self._filesystem, self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for path in self._temporary.values():
            try:
                self._filesystem.delete_file(path)
            except OSError:  # never written, or the disk is gone: nothing is left to remove
                continue

    def table(
        self, name: str, frame: pl.DataFrame, schema: Schema, *, in_content: bool = True
    ) -> None:
        """Write one table as Parquet after checking it against its schema.

        Not `in_content` is for what tells how the work went (calls with their latencies): other
        values of it make no other content, and what rests on this artifact is not redone.
        """
        check(frame, schema, table=f"{self.step}/{name}")
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        data = buffer.getvalue()
        self.data(f"{name}.parquet", data, rows=frame.height, in_content=in_content)

    def data(self, filename: str, data: bytes, *, rows: int = 0, in_content: bool = True) -> None:
        """Write one file as it is."""
        self._put(filename, data)
        self.files[filename] = FileEntry(
            sha256=content_hash(data), size=len(data), rows=rows, in_content=in_content
        )

    def fact(self, name: str, value: object, *, in_content: bool = False) -> None:
        """Note something the run's summary shall say, or (`in_content`) that later steps read."""
        self.facts[name] = value
        if in_content:
            self.content_facts[name] = value

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
            content_hash=files_hash(self.files, self.content_facts),
            files=self.files,
            parameters=json.loads(canonical_json(dict(parameters))),
            inputs=dict(inputs),
            facts=self.facts,
            content_facts=self.content_facts,
            libraries=library_versions(),
            created=datetime.now(UTC),
            seconds=seconds,
            peak_memory_mib=peak_memory_mib,
            built_by=built_by,
        )
        self._put(MANIFEST, manifest.sealed())
        with locked(self._filesystem, self._path):
            first = self._first()
            if first is None:
                self._move_all()
        self.scratch.remove()
        return first or _reference(self.uri, manifest)

    def _first(self) -> ArtifactRef | None:
        """What another process wrote here in the meantime, where nothing of ours would be lost.

        A ledger tells what this process paid for, and stands in no other artifact.
        """
        if any(not one.in_content and one.rows for one in self.files.values()):
            return None
        try:
            found = verify(self.uri, patient=False)
        except DamagedArtifact:
            return None
        return _reference(self.uri, found) if found.key == self.key else None

    def _move_all(self) -> None:
        final = {name: f"{self._path}/{name}" for name in self._temporary}
        # A damaged artifact at this place stops existing before its files are replaced.
        self._guard(partial(_delete_if_there, self._filesystem, final[MANIFEST]))
        for name in [*self.files, MANIFEST]:
            self._guard(partial(_delete_folder, self._filesystem, final[name]))
            self._guard(partial(self._filesystem.move, self._temporary[name], final[name]))
            del self._temporary[name]

    def _put(self, filename: str, data: bytes) -> None:
        path = f"{self._path}/{temporary_name(filename)}"
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


def _delete_if_there(filesystem: pafs.FileSystem, path: str) -> None:
    if filesystem.get_file_info(path).type not in (pafs.FileType.NotFound, pafs.FileType.Directory):
        with suppress(FileNotFoundError):  # another process was faster
            filesystem.delete_file(path)


def _delete_folder(filesystem: pafs.FileSystem, path: str) -> None:
    """Remove a folder that is in the place of a file: no file could be moved there."""
    if filesystem.get_file_info(path).type == pafs.FileType.Directory:
        filesystem.delete_dir(path)
