"""Forms of text tables, found out from their first bytes: encoding, separator, header, lists."""

import codecs
import json
import re
from pathlib import Path
from typing import Final

import polars as pl

from recsys_core.columns import ITEM, USER
from recsys_core.datasets.sources.files import HEAD

_CHUNK: Final = 1 << 22
_SEPARATORS: Final = "\t,;|"
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_INTEGERS: Final = re.compile(r"\d+(?: \d+)*")
_NUMBERS: Final = re.compile(r"-?\d+(?:\.\d+)?(?: -?\d+(?:\.\d+)?)+")
_DOUBLE: Final = "::"
"""Separator of MovieLens 1M and what is written like it."""
ENCODINGS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def json_objects(lines: list[bytes]) -> list[dict[str, object]] | None:
    """The objects of JSON lines; None where a line holds something else."""
    rows = []
    for line in lines:
        try:
            row = json.loads(line) if line.strip() else {}
        except ValueError:
            return None
        if not isinstance(row, dict):
            return None
        rows.append(row)
    return rows


def header(text: str) -> list[str]:
    """Column names of separated text; none of an empty one, numbered ones without a header."""
    first = text.lstrip("\ufeff").split("\n", 1)[0].strip("\r")
    if not first.strip():
        return []
    line, separator = of_one_character(first.encode() + b"\n", separator_of(first))
    return pl.read_csv(
        line, separator=separator, infer_schema=False, n_rows=0, has_header=not holds_values(first)
    ).columns


def is_adjacency(head: bytes) -> bool:
    """Whether lines are a user's number and those of the items, as LightGCN's data sets have it."""
    lines = head.splitlines()[: -1 if len(head) >= HEAD else None]
    whole = all(_INTEGERS.fullmatch(line.decode("latin-1").strip()) for line in lines)
    return bool(lines) and whole and len({line.count(b" ") for line in lines}) > 1


def adjacency_pairs(text: bytes) -> pl.DataFrame:
    """USER and ITEM, as texts, of adjacency lists."""
    lines = pl.Series(text.decode().splitlines()).str.strip_chars().str.split(" ")
    frame = pl.DataFrame({USER: lines.list.first(), ITEM: lines.list.slice(1)})
    return frame.explode(ITEM).drop_nulls()


def holds_values(first: str) -> bool:
    """Whether a first line is no header: nobody calls a column by a number other than 0."""
    cells = [cell.strip().strip('"') for cell in first.split(separator_of(first))]
    return len(cells) > 1 and any(_NUMBER.fullmatch(cell) for cell in cells)


def separator_of(header: str) -> str:
    """What divides the cells of a first line: `::`, one of `_SEPARATORS`, or blanks of numbers."""
    if _DOUBLE in header:
        return _DOUBLE
    found = max(_SEPARATORS, key=header.count)
    return " " if found not in header and _NUMBERS.fullmatch(header.strip()) else found


def of_one_character(source: Path | bytes, separator: str) -> tuple[Path | bytes, str]:
    """The text with a separator that a reader takes: of `::` a tab is made."""
    if separator != _DOUBLE:
        return source, separator
    text = source if isinstance(source, bytes) else source.read_bytes()
    return text.replace(b"\t", b" ").replace(_DOUBLE.encode(), b"\t"), "\t"


def is_utf8(source: Path | bytes) -> bool:
    """Whether the whole text is UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        if isinstance(source, bytes):
            for start in range(0, len(source), _CHUNK):
                decoder.decode(source[start : start + _CHUNK])
        else:
            with source.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def decoded(data: bytes) -> str:
    """Text whose encoding is found out: a byte order mark, UTF-8, Windows-1252, Latin-1."""
    marked = next((name for mark, name in ENCODINGS.items() if data.startswith(mark)), None)
    for encoding in (marked, "utf-8", "cp1252"):
        try:
            if encoding is not None:
                return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")
