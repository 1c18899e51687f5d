"""Read a table of one or many files: Parquet, CSV, TSV, JSON lines or RecBole's atomic files.

Separated text is read as strings: the casts of the contract make numbers of them, so that an id
such as `00123` keeps its zeros. Its encoding is found out: UTF-8 (with or without a byte order
mark), UTF-16 with one, else Windows-1252.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl

from recsys_core.columns import ITEM, USER
from recsys_core.datasets.sources.aliases import FIRST_UNNAMED
from recsys_core.datasets.sources.bounds import (
    check_expanded,
    check_not_packed,
    check_parquet,
    check_unpacked,
    corrupt,
)
from recsys_core.datasets.sources.files import HEAD, Files, listing, visible
from recsys_core.datasets.sources.text_forms import (
    ENCODINGS,
    adjacency_pairs,
    decoded,
    header,
    holds_values,
    is_adjacency,
    is_utf8,
    json_objects,
    of_one_character,
    separator_of,
)
from recsys_core.errors import DataError

PARQUET: Final = frozenset({"parquet", "pq"})
SEPARATED: Final = frozenset({"csv", "tsv", "tab", "txt", "dat", "inter", "item", "user"})
JSON: Final = frozenset({"jsonl", "ndjson", "json"})
SUFFIXES: Final = PARQUET | SEPARATED | JSON
_CHUNK: Final = 1 << 22


@dataclass(frozen=True)
class Table:
    """One table in one or more files of the same form.

    Attributes:
        files: the folder or archive.
        parts: names of its files, in order.
    """

    files: Files
    parts: tuple[str, ...]

    @property
    def place(self) -> str:
        """The file, or the first of several, for messages."""
        more = f" and {len(self.parts) - 1} more" if len(self.parts) > 1 else ""
        return f"{self.files.place}/{self.parts[0]}{more}"

    @cached_property
    def columns(self) -> list[str]:
        """Its column names.

        Raises:
            DataError: the first file cannot be read.
        """
        name = self.parts[0]
        if suffix(name) not in SEPARATED:
            return self._part(name, None, rows=0).columns
        head = self._head(name)
        if is_adjacency(head):
            return [USER, ITEM]
        if head[:2] in ENCODINGS:  # a cut between the bytes of a line's end
            return header(head.decode("utf-16", "ignore"))
        return header(decoded(head[: head.rfind(b"\n") + 1] or head))

    @cached_property
    def columns_of_head(self) -> list[str]:
        """Its column names, those of JSON by its first lines: a large file is not read whole.

        Raises:
            DataError: the first file cannot be read.
        """
        name = self.parts[0]
        if suffix(name) not in JSON:
            return self.columns
        lines = self._head(name).split(b"\n")
        rows = json_objects(lines[:-1] or lines)
        return (
            self.columns
            if rows is None
            else list(dict.fromkeys(key for row in rows for key in row))
        )

    @cached_property
    def has_no_header(self) -> bool:
        """Whether the first line of separated text holds values: then columns have numbers."""
        return self.is_text and self.columns[:1] == [FIRST_UNNAMED]

    @property
    def is_text(self) -> bool:
        """Whether every column comes as a string."""
        return suffix(self.parts[0]) in SEPARATED

    def read(self, columns: Mapping[str, str] | None = None) -> pl.DataFrame:
        """Its rows, files in order.

        Args:
            columns: new name -> name in the file; None for all columns under their own names.

        Raises:
            DataError: a file is not what its name says, or the files differ in their columns.
        """
        frames = [self._part(name, columns) for name in self.parts]
        if len(frames) == 1:
            return frames[0]
        try:
            return pl.concat(frames, how="vertical_relaxed")
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"The files of {self.place} differ: {_first_line(error)}",
                expected="the same columns and types in every file of a table.",
                fix="write them in one form, or name the files that belong to the table.",
            ) from error

    def digest(self) -> str:
        """Hash of the content of all files."""
        total = hashlib.sha256()
        for name in self.parts:
            path = self.files.path(name)
            if path is None:
                total.update(self.files.read(name))
                continue
            with path.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    total.update(chunk)
        return total.hexdigest()

    def _part(
        self, name: str, columns: Mapping[str, str] | None, *, rows: int | None = None
    ) -> pl.DataFrame:
        source = self._source(name)
        place = f"{self.files.place}/{name}"
        if suffix(name) not in PARQUET:
            check_not_packed(place, source[:HEAD] if isinstance(source, bytes) else _head(source))
        else:  # for the head, too: its first row may be a list of any length
            names = None if columns is None else list(columns.values())
            check_parquet(place, _stream(source), names)
        reader = _reader(suffix(name))
        try:
            frame = reader(source, columns, rows)
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            raise corrupt(place, f"a whole {_form(name)} file", _first_line(error)) from error
        check_expanded(place, frame)
        return frame

    def _head(self, name: str) -> bytes:
        """The first bytes, unpacked."""
        head, place = self.files.head(name), f"{self.files.place}/{name}"
        try:
            if name.endswith(".gz"):
                head = zlib.decompressobj(wbits=31).decompress(head, HEAD)
        except zlib.error as error:
            raise corrupt(place, "a whole gzip file", error) from error
        check_not_packed(place, head)
        return head

    def _source(self, name: str) -> Path | bytes:
        path = self.files.path(name)
        if path is not None and not name.endswith(".gz"):
            return path
        data = self.files.read(name)
        try:
            return _gunzipped(data, f"{self.files.place}/{name}") if name.endswith(".gz") else data
        except (OSError, EOFError, zlib.error) as error:
            raise corrupt(f"{self.files.place}/{name}", "a whole gzip file", error) from error


def _gunzipped(data: bytes, place: str) -> bytes:
    """The unpacked bytes, checked as they come: a gzip file does not say how large it is."""
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        while chunk := stream.read(_CHUNK):
            made.write(chunk)
            check_unpacked(place, made.tell(), len(data))
    return made.getvalue()


def find(files: Files, stems: tuple[str, ...]) -> Table | None:
    """The table whose file, or folder of parts, has one of these names before its suffix."""
    for stem in stems:
        fitting = [name for name in sorted(files.names) if _stem(name) == stem]
        if fitting:
            return Table(files, (fitting[0],))
        for name in sorted(files.folders):
            if name == stem or _stem(name) == stem:
                parts = tuple(part for part in files.parts(name) if suffix(part) in SUFFIXES)
                if parts:
                    return Table(files, parts)
    return None


def only(files: Files, names: tuple[str, ...]) -> Table:
    """The table in these files.

    Raises:
        DataError: none of them has a form that can be read.
    """
    kept = tuple(name for name in visible(frozenset(names)) if suffix(name) in SUFFIXES)
    if not kept:
        raise DataError(
            f"{files.place} has no table that can be read (it has {listing(frozenset(names))}).",
            expected=f"files that end in {', '.join(sorted(SUFFIXES))} (or in .gz after that).",
            fix="give the files their suffix.",
        )
    return Table(files, kept)


def suffix(name: str) -> str:
    """`csv` of `ratings.csv.gz`, in lower case."""
    return Path(name.lower().removesuffix(".gz").rstrip("/")).suffix.removeprefix(".")


def _stem(name: str) -> str | None:
    """`interactions` of `interactions.csv.gz`; None for a file that is no table."""
    return Path(name.lower().removesuffix(".gz")).stem if suffix(name) in SUFFIXES else None


def _form(name: str) -> str:
    form = suffix(name)
    return "Parquet" if form in PARQUET else "JSON lines" if form in JSON else form.upper()


Reader = Callable[[Path | bytes, Mapping[str, str] | None, int | None], pl.DataFrame]


def _reader(form: str) -> Reader:
    return _parquet if form in PARQUET else _json if form in JSON else _separated


def _parquet(
    source: Path | bytes, columns: Mapping[str, str] | None, rows: int | None
) -> pl.DataFrame:
    names = None if columns is None else list(dict.fromkeys(columns.values()))
    frame = pl.read_parquet(_stream(source), columns=names, n_rows=rows, hive_partitioning=False)
    return _renamed(frame, columns)


def _json(
    source: Path | bytes, columns: Mapping[str, str] | None, rows: int | None
) -> pl.DataFrame:
    head = source[:HEAD] if isinstance(source, bytes) else _head(source)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        frame = pl.read_json(_stream(source), infer_schema_length=None)
    else:
        frame = pl.read_ndjson(_stream(source), infer_schema_length=None)
    return _renamed(frame if rows is None else frame.head(rows), columns)


def _separated(
    source: Path | bytes, columns: Mapping[str, str] | None, rows: int | None
) -> pl.DataFrame:
    head = source[:HEAD] if isinstance(source, bytes) else _head(source)
    if is_adjacency(head):
        pairs = adjacency_pairs(_bytes(source))
        return _renamed(pairs if rows is None else pairs.head(rows), columns)
    text = _utf8(source)
    first = decoded(text[:HEAD] if isinstance(text, bytes) else _head(text)).split("\n", 1)[0]
    names = None if columns is None else list(dict.fromkeys(columns.values()))
    text, separator = of_one_character(text, separator_of(first))

    def read(quote: str | None) -> pl.DataFrame:
        return pl.read_csv(
            text, separator=separator, infer_schema=False, columns=names, n_rows=rows,
            quote_char=quote, has_header=not holds_values(first.lstrip("\ufeff")),
        )  # fmt: skip

    try:
        return _renamed(read('"'), columns)
    except pl.exceptions.ComputeError:
        # A quote within a text, in a file that quotes nothing.
        return _renamed(read(None), columns)


def _utf8(source: Path | bytes) -> Path | bytes:
    """Text in UTF-8: the file itself where it is that already."""
    head = source[:4] if isinstance(source, bytes) else _head(source)[:4]
    marked = next((name for mark, name in ENCODINGS.items() if head.startswith(mark)), None)
    if marked == "utf-16":
        return decoded(_bytes(source)).encode()
    if is_utf8(source):
        return source
    return decoded(_bytes(source)).encode()


def _renamed(frame: pl.DataFrame, columns: Mapping[str, str] | None) -> pl.DataFrame:
    if columns is None:
        return frame
    return frame.select(pl.col(old).alias(new) for new, old in columns.items())


def _stream(source: Path | bytes) -> Path | io.BytesIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _bytes(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(HEAD)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
