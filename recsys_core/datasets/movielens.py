"""Readers of MovieLens 100K and 1M as published.

Read are the official archives (Harper and Konstan, "The MovieLens Datasets", TiiS 5(4), 2015)
and RecBole's atomic files of MovieLens 100K, which keep the order of `u.data`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from recsys_core.columns import (
    AGE,
    GENDER,
    GENRES,
    ITEM,
    OCCUPATION,
    RATING,
    TIMESTAMP,
    TITLE,
    USER,
    YEAR,
    ZIP_CODE,
)
from recsys_core.datasets.contract import Dataset
from recsys_core.datasets.files import Files
from recsys_core.datasets.titles import tidy
from recsys_core.errors import DataError

ML_100K: Final = "ml-100k"
ML_1M: Final = "ml-1m"

_TYPES: Final[Mapping[str, type[pl.DataType]]] = {
    USER: pl.Int64, ITEM: pl.Int64, RATING: pl.Float32, TIMESTAMP: pl.Int64, AGE: pl.Int32,
}  # fmt: skip
_INTERACTIONS: Final = (USER, ITEM, RATING, TIMESTAMP)
_USERS: Final = (USER, AGE, GENDER, OCCUPATION, ZIP_CODE)
_UNUSED: Final = ("release", "video", "imdb")
_FLAGS: Final = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
_OCCUPATIONS: Final = (
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student",
    "customer service", "doctor/health care", "executive/managerial", "farmer", "homemaker",
    "K-12 student", "lawyer", "programmer", "retired", "sales/marketing", "scientist",
    "self-employed", "technician/engineer", "tradesman/craftsman", "unemployed", "writer",
)  # fmt: skip
_ATOMIC: Final = {"movie_title": TITLE, "release_year": YEAR, "class": GENRES}
_FIRST_FILE: Final[Mapping[str, Sequence[str]]] = {
    ML_100K: ("u.data", "ml-100k.inter"),
    ML_1M: ("ratings.dat",),
}
# Items, last id, its title's first word: enough to know the catalogue again in Parquet files.
_CATALOGUES: Final = {ML_100K: (1682, 1682, "Scream"), ML_1M: (3883, 3952, "Contender")}


def holds(name: str, files: Files) -> bool:
    """Whether `files` are the published files of the data set `name`."""
    return any(first in files.names for first in _FIRST_FILE[name])


def read(name: str, files: Files, *, source: str) -> Dataset:
    """The data set `name` from its published files, ratings in the file's order.

    Raises:
        DataError: a file is missing or does not have the published form.
    """
    reader = _read_1m if name == ML_1M else _read_100k
    if "ml-100k.inter" in files.names and "u.data" not in files.names:
        reader = _read_atomic
    interactions, items, users = reader(files)
    return Dataset(
        name=name, source=source, interactions=interactions, items=tidy(items), users=users
    )


def recognised(items: pl.DataFrame) -> str | None:
    """`ml-100k` or `ml-1m` if the catalogue is theirs, else None."""
    if not (items.schema[ITEM].is_integer() and items.schema[TITLE] == pl.String):
        return None
    for name, (height, last, word) in _CATALOGUES.items():
        titles = items.filter(pl.col(ITEM) == last)[TITLE].to_list()
        if items.height == height and titles and word in (titles[0] or ""):
            return name
    return None


_Tables = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame | None]


def _read_100k(files: Files) -> _Tables:
    items = _table(files, "u.item", (ITEM, TITLE, *_UNUSED, *_FLAGS), "|")
    flagged = [pl.when(pl.col(flag) == "1").then(pl.lit(flag)) for flag in _FLAGS]
    genres = pl.concat_list(flagged).list.drop_nulls().alias(GENRES)
    users = _table(files, "u.user", _USERS, "|")
    return _table(files, "u.data", _INTERACTIONS, "\t"), items.select(ITEM, TITLE, genres), users


def _read_1m(files: Files) -> _Tables:
    items = _table(files, "movies.dat", (ITEM, TITLE, GENRES), "::")
    users = _table(files, "users.dat", (USER, GENDER, AGE, OCCUPATION, ZIP_CODE), "::")
    codes = {str(code): name for code, name in enumerate(_OCCUPATIONS)}
    return (
        _table(files, "ratings.dat", _INTERACTIONS, "::"),
        items.with_columns(pl.col(GENRES).str.split("|")),
        users.select(_USERS).with_columns(pl.col(OCCUPATION).replace_strict(codes, default=None)),
    )


def _read_atomic(files: Files) -> _Tables:
    """RecBole's atomic files: the first line names the columns as `name:type`."""
    items = _atomic(files, "ml-100k.item").rename(_ATOMIC)
    # Two titles with a second pair of brackets have "V" or a misspelt "unknown" as the year.
    year = pl.col(YEAR).str.extract(r"^(\d{4})$").cast(pl.Int32)
    return (
        _atomic(files, "ml-100k.inter").select(_INTERACTIONS),
        items.with_columns(year, pl.col(GENRES).str.split(" ")),
        _atomic(files, "ml-100k.user") if "ml-100k.user" in files.names else None,
    )


def _atomic(files: Files, name: str) -> pl.DataFrame:
    header = _text(files, name, "utf-8").split("\n", 1)[0].strip()
    columns = [column.partition(":")[0] for column in header.split("\t")]
    return _table(files, name, columns, "\t", skip=1, encoding="utf-8")


def _table(
    files: Files,
    name: str,
    columns: Sequence[str],
    separator: str,
    *,
    skip: int = 0,
    encoding: str = "latin-1",
) -> pl.DataFrame:
    """A separated file without quoting, its lines in order; columns are strings or `_TYPES`."""
    text = _text(files, name, encoding)
    if separator == "::":
        # polars wants one-byte separators; none of the files holds a tab.
        text, separator = text.replace("::", "\t"), "\t"
    try:
        return pl.read_csv(
            text.encode(),
            separator=separator,
            has_header=False,
            skip_rows=skip,
            quote_char=None,
            schema={column: _TYPES.get(column, pl.String) for column in columns},
        )
    except pl.exceptions.PolarsError as error:
        raise _malformed(files, name, str(error).splitlines()[0]) from error


def _text(files: Files, name: str, encoding: str) -> str:
    if name not in files.names:
        raise _malformed(files, name, "the file is missing")
    try:
        return files.read(name).decode(encoding)
    except UnicodeDecodeError as error:
        raise _malformed(files, name, error) from error


def _malformed(files: Files, name: str, cause: object) -> DataError:
    return DataError(
        f"{name} of {files.place} cannot be read as published: {cause}",
        expected="the unaltered files of the MovieLens archive.",
        fix="get the archive again, or leave --data.folder out to have it downloaded.",
    )
