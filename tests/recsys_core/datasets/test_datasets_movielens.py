from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys_core.datasets.sources import movielens
from recsys_core.datasets.sources.files import Files, zip_files
from recsys_core.datasets.sources.titles import tidy
from recsys_core.errors import DataError

Zipped = Callable[[dict[str, bytes]], bytes]


def published(files: Files) -> Any:
    form = movielens.form_of(files)
    assert form is not None
    return movielens.read(form, files, name="mine", source="test")


@pytest.mark.parametrize(
    ("title", "expected", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Postino, Il (1994)", "Il Postino", 1994),
        ("Enfer, L' (1994)", "L'Enfer", 1994),
        ("Blue Angel, The (Blaue Engel, Der) (1930)", "The Blue Angel (Der Blaue Engel)", 1930),
        (
            "White Balloon, The (Badkonake Sefid ) (1995)",
            "The White Balloon (Badkonake Sefid)",
            1995,
        ),
        (
            "Star Maker, The (Uomo delle stelle, L') (1995)",
            "The Star Maker (L'Uomo delle stelle)",
            1995,
        ),
        ("Land Before Time III (1995) (V)", "Land Before Time III", 1995),
        ("Corrina, Corrina (1994)", "Corrina, Corrina", 1994),
        ("To Die For (1995)", "To Die For", 1995),
        ("Me, Myself, I", "Me, Myself, I", None),
        ("1984 (1984)", "1984", 1984),
        ("unkonwn", "unknown", None),
    ],
)
def test_titles_are_written_as_people_write_them(
    title: str, expected: str, year: int | None
) -> None:
    once = tidy(pl.DataFrame({"title": [title], "genres": [["unknown", "Drama"]]}))
    assert once.select("title", "year", "genres").rows() == [(expected, year, ["Drama"])]
    assert tidy(once).equals(once)


def test_the_official_100k_archive_is_read(zipped: Zipped, small_100k: dict[str, bytes]) -> None:
    files = zip_files(zipped(small_100k), place="ml-100k.zip")
    data = published(files)
    assert data.interactions.rows()[0] == (7, 1, 5.0, 881250949)
    assert data.interactions["item_id"].to_list() == [1, 2, 3, 1, 2]
    assert data.items.rows() == [
        (1, "Toy Story", ["Animation"], 1995),
        (2, "Il Postino", [], 1994),
        (3, "Les Misérables", [], 1995),
    ]
    assert data.users is not None
    assert data.users.rows()[0] == (7, 24, "M", "technician", "85711")


def test_the_official_1m_archive_is_read(zipped: Zipped) -> None:
    members = {
        "ml-1m/ratings.dat": b"1::2::5::978300760\n1::1::3::978302109\n",
        "ml-1m/movies.dat": "1::Toy Story (1995)::Animation|Comedy\n"
        "2::Cérémonie, La (1995)::Drama\n".encode("latin-1"),
        "ml-1m/users.dat": b"1::F::1::10::48067\n",
    }
    data = published(zip_files(zipped(members), place="x"))
    assert data.interactions.rows() == [(1, 2, 5.0, 978300760), (1, 1, 3.0, 978302109)]
    assert data.items.select("item_id", "title", "genres", "year").rows() == [
        (1, "Toy Story", ["Animation", "Comedy"], 1995),
        (2, "La Cérémonie", ["Drama"], 1995),
    ]
    assert data.users is not None
    assert data.users.rows() == [(1, 1, "F", "K-12 student", "48067")]


def test_the_atomic_files_are_read(zipped: Zipped) -> None:
    members = {
        "r/ml-100k.inter": b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        b"196\t242\t3\t881250949\n",
        "r/ml-100k.item": b"item_id:token\tmovie_title:token_seq\trelease_year:token\t"
        b"class:token_seq\n242\tKolya, The\t1996\tComedy Children's\n"
        b"243\tLand (1995)\tV\tunknown\n",
    }
    data = published(zip_files(zipped(members), place="x"))
    assert data.interactions.rows() == [(196, 242, 3.0, 881250949)]
    assert data.items.rows() == [
        (242, "The Kolya", 1996, ["Comedy", "Children's"]),
        (243, "Land", 1995, []),
    ]
    assert data.users is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("u.item", None),
        ("u.user", None),
        ("u.data", b"1\t2\tfive\t3\n"),
        ("u.data", b"1\t2\t5\t3\t9\t9\n"),
        ("u.user", b"x|24|M|technician|85711\n"),
    ],
)
def test_altered_files_are_named(
    zipped: Zipped, small_100k: dict[str, bytes], name: str, content: bytes | None
) -> None:
    small_100k.pop(f"ml-100k/{name}")
    if content is not None:
        small_100k[f"ml-100k/{name}"] = content
    with pytest.raises(DataError, match=name):
        published(zip_files(zipped(small_100k), place="x.zip"))


@pytest.mark.data
@pytest.mark.parametrize("name", ["ml-100k", "ml-1m"])
def test_the_catalogues_are_recognised(shared_data: Path, name: str) -> None:
    items = pl.read_parquet(shared_data / name / "items.parquet")
    assert movielens.recognised(items) == name
    assert movielens.recognised(items.head(10)) is None
    assert movielens.recognised(items.with_columns(pl.col("item_id").cast(pl.String))) is None
    assert tidy(items)["title"].str.contains(", (The|A|An)$").sum() == 0
