"""Readers of MovieLens as published: 100K, 1M, 10M, 20M, 25M, 32M, latest; and MovieTweetings.

100K has files of its own (`u.data`), 1M, 10M and MovieTweetings have `::` between fields
(`ratings.dat`), the others are CSV (`ratings.csv`, `movies.csv`, `links.csv`). Encodings are found
out, since copies in UTF-8 go around (Harper and Konstan, "The MovieLens Datasets", TiiS 5(4),
2015). RecBole's atomic files of MovieLens 100K keep the order of `u.data`.
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
    TMDB_ID,
    USER,
    YEAR,
    ZIP_CODE,
)
from recsys_core.datasets.contract import RawDataset
from recsys_core.datasets.sources.files import Files
from recsys_core.datasets.sources.tables import Table
from recsys_core.datasets.sources.text_forms import decoded
from recsys_core.datasets.sources.titles import tidy
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
U_DATA: Final = "u.data"
ATOMIC: Final = "ml-100k.inter"
RATINGS_DAT: Final = "ratings.dat"
RATINGS_CSV: Final = "ratings.csv"
_CSV_HEADER: Final = (b"userId,movieId,rating", b"\xef\xbb\xbfuserId,movieId,rating")
_FORMS: Final[Mapping[str, Sequence[str]]] = {
    U_DATA: ("u.item",), ATOMIC: ("ml-100k.item",), RATINGS_DAT: ("movies.dat",),
    RATINGS_CSV: ("movies.csv",),
}  # fmt: skip
"""The file of ratings by which a form is known, and what must lie beside it."""
# Items, last id, its title's first word: enough to know the catalogue again in Parquet files.
_CATALOGUES: Final = {ML_100K: (1682, 1682, "Scream"), ML_1M: (3883, 3952, "Contender")}


def form_of(files: Files) -> str | None:
    """The form in which a MovieLens lies there, by the name of its ratings; None for none."""
    for ratings, beside in _FORMS.items():
        there = ratings in files.names and (ratings == U_DATA or files.names.issuperset(beside))
        if there and (ratings != RATINGS_CSV or files.head(ratings).startswith(_CSV_HEADER)):
            return ratings
    return None


def read(form: str, files: Files, *, name: str, source: str) -> RawDataset:
    """A MovieLens from its published files, ratings in the file's order.

    Args:
        form: of `form_of`.
        files: where they are.
        name: of the data set; its own name where its catalogue is known.
        source: for the report.

    Raises:
        DataError: a file is missing or does not have the published form.
    """
    interactions, items, users = _READERS[form](files)
    return RawDataset(
        name=recognised(items) or name, source=source, interactions=interactions,
        items=tidy(items), users=users, feedback="explicit",
    )  # fmt: skip


def recognised(items: pl.DataFrame) -> str | None:
    """`ml-100k` or `ml-1m` if the catalogue is theirs, else None."""
    if not ({ITEM, TITLE} <= set(items.columns) and items.schema[ITEM].is_integer()
            and items.schema[TITLE] == pl.String):  # fmt: skip
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


def _read_dat(files: Files) -> _Tables:
    """1M, 10M and MovieTweetings, which differ in their users: five fields, none, two."""
    items = _table(files, "movies.dat", (ITEM, TITLE, GENRES), "::")
    interactions = _table(files, RATINGS_DAT, _INTERACTIONS, "::")
    items = items.with_columns(pl.col(GENRES).str.split("|"))
    if "users.dat" not in files.names or _fields(files, "users.dat") != len(_USERS):
        return interactions, items, None
    users = _table(files, "users.dat", (USER, GENDER, AGE, OCCUPATION, ZIP_CODE), "::")
    codes = {str(code): name for code, name in enumerate(_OCCUPATIONS)}
    users = users.select(_USERS).with_columns(
        pl.col(OCCUPATION).replace_strict(codes, default=None)
    )
    return interactions, items, users


def _fields(files: Files, name: str) -> int:
    return files.read(name).split(b"\n", 1)[0].count(b"::") + 1


def _read_csv(files: Files) -> _Tables:
    """20M, 25M, 32M and latest: headers, quotes, and TMDB's ids in `links.csv`."""
    interactions = Table(files, (RATINGS_CSV,)).read(
        {USER: "userId", ITEM: "movieId", RATING: "rating", TIMESTAMP: "timestamp"}
    )
    items = Table(files, ("movies.csv",)).read({ITEM: "movieId", TITLE: "title", GENRES: "genres"})
    items = _typed(items, "movies.csv", files).with_columns(pl.col(GENRES).str.split("|"))
    if "links.csv" in files.names:
        links = Table(files, ("links.csv",)).read({ITEM: "movieId", TMDB_ID: "tmdbId"})
        links = _typed(links, "links.csv", files).unique(ITEM, keep="first")
        items = items.join(links, on=ITEM, how="left", maintain_order="left")
    return _typed(interactions, RATINGS_CSV, files), items, None


def _typed(frame: pl.DataFrame, name: str, files: Files) -> pl.DataFrame:
    try:
        return frame.cast({one: _TYPES[one] for one in frame.columns if one in _TYPES})
    except pl.exceptions.PolarsError as error:
        raise _malformed(files, name, str(error).splitlines()[0]) from error


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
    header = _text(files, name).split("\n", 1)[0].strip()
    columns = [column.partition(":")[0] for column in header.split("\t")]
    return _table(files, name, columns, "\t", skip=1)


def _table(
    files: Files, name: str, columns: Sequence[str], separator: str, *, skip: int = 0
) -> pl.DataFrame:
    """A separated file without quoting, its lines in order; columns are strings or `_TYPES`."""
    text = _text(files, name)
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


def _text(files: Files, name: str) -> str:
    if name not in files.names:
        raise _malformed(files, name, "the file is missing")
    return decoded(files.read(name))


_READERS: Final = {
    U_DATA: _read_100k, ATOMIC: _read_atomic, RATINGS_DAT: _read_dat, RATINGS_CSV: _read_csv,
}  # fmt: skip


def _malformed(files: Files, name: str, cause: object) -> DataError:
    return DataError(
        f"{name} of {files.place} cannot be read as published: {cause}",
        expected="the unaltered files of the MovieLens archive.",
        fix="get the archive again, or leave --data.folder out to have it downloaded.",
    )
