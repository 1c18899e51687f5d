"""Data sets in the forms that people have them, each through the whole of `load_dataset`."""

import gzip
import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.fs as pafs
import pytest

from recsys_core.columns import (
    AVAILABLE,
    GENRES,
    ITEM,
    RATING,
    TIMESTAMP,
    TITLE,
    TMDB_ID,
    USER,
    YEAR,
)
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract import Dataset
from recsys_core.datasets.load import load_dataset, source_fingerprint
from recsys_core.errors import DataError

Zipped = Callable[[dict[str, bytes]], bytes]

ROWS = [(1, 10, 5.0, 100), (2, 20, 1.0, 200), (1, 20, 3.5, 300)]
FRAME = pl.DataFrame(ROWS, schema=[USER, ITEM, RATING, TIMESTAMP], orient="row")
FILMS = pl.DataFrame({ITEM: [10, 20], TITLE: ["Amélie", "Heat, the film"], GENRES: ["A|B", ""]})


def csv(frame: pl.DataFrame, separator: str = ",") -> bytes:
    return frame.write_csv(separator=separator).encode()


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def lines(frame: pl.DataFrame) -> bytes:
    return "\n".join(json.dumps(row) for row in frame.to_dicts()).encode()


def written(folder: Path, **files: bytes) -> Path:
    """`a__b_csv` becomes the file `a/b.csv`."""
    for name, data in files.items():
        place, _, suffix = name.replace("__", "/").rpartition("_")
        path = folder / f"{place}.{suffix.replace('Z', '.gz')}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def loaded(place: object, tmp_path: Path, **fields: Any) -> Dataset:
    return load_dataset(DataConfig(source=str(place), **fields), tmp_path / "cache")


def rows(data: Dataset) -> list[tuple[Any, ...]]:
    return data.interactions.select(USER, ITEM, RATING, TIMESTAMP).rows()


FORMS: dict[str, dict[str, bytes]] = {
    "csv": {"interactions_csv": csv(FRAME), "items_csv": csv(FILMS)},
    "tsv": {"interactions_tsv": csv(FRAME, "\t"), "items_tsv": csv(FILMS, "\t")},
    "semicolons": {"ratings_csv": csv(FRAME, ";"), "movies_csv": csv(FILMS, ";")},
    "byte order mark": {"interactions_csv": b"\xef\xbb\xbf" + csv(FRAME), "items_csv": csv(FILMS)},
    "CRLF": {"interactions_csv": csv(FRAME).replace(b"\n", b"\r\n"),
             "items_csv": csv(FILMS).replace(b"\n", b"\r\n")},
    "Windows-1252": {"interactions_csv": csv(FRAME),
                     "items_csv": csv(FILMS).decode().encode("cp1252")},
    "UTF-16": {"interactions_csv": csv(FRAME).decode().encode("utf-16"),
               "items_csv": csv(FILMS).decode().encode("utf-16")},
    "gzip": {"interactions_csvZ": gzip.compress(csv(FRAME)),
             "items_jsonlZ": gzip.compress(lines(FILMS))},
    "JSON lines": {"interactions_jsonl": lines(FRAME), "items_ndjson": lines(FILMS)},
    "JSON": {"interactions_json": json.dumps(FRAME.to_dicts()).encode(),
             "items_json": json.dumps(FILMS.to_dicts()).encode()},
    "Parquet": {"interactions_parquet": parquet(FRAME), "items_parquet": parquet(FILMS)},
    "parts": {"interactions.parquet__part-0_parquet": parquet(FRAME.head(1)),
              "interactions.parquet__part-1_parquet": parquet(FRAME.tail(2)),
              "interactions.parquet___SUCCESS_txt": b"", "items__0_csv": csv(FILMS)},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_data_set(form: str, tmp_path: Path) -> None:
    data = loaded(written(tmp_path / "mine", **FORMS[form]), tmp_path)
    assert rows(data) == ROWS
    assert data.items[TITLE].to_list() == ["Amélie", "Heat, the film"]
    assert data.items[GENRES].to_list() == [["A", "B"], []]
    assert data.interactions.schema[USER] == pl.Int64
    assert data.scale.model_dump(exclude={"feedback"}) == {
        "rating_min": 1.0, "rating_max": 5.0, "like_from": 4.0, "dislike_from": 2.0,
    }  # fmt: skip


def uploaded(bucket: str, folder: Path) -> str:
    """The folder's files in a bucket; the URI of what was the folder."""
    place = f"{bucket}/{uuid.uuid4().hex}"
    remote, path = pafs.FileSystem.from_uri(place)
    pafs.copy_files(str(folder), path, destination_filesystem=remote)
    return place


@pytest.mark.parametrize("form", ["csv", "gzip", "JSON lines", "Parquet", "parts"])
def test_every_form_may_lie_on_s3(form: str, tmp_path: Path, bucket: str) -> None:
    folder = written(tmp_path / "mine", **FORMS[form])
    place = uploaded(bucket, folder)
    data = loaded(place, tmp_path)
    assert rows(data) == ROWS
    assert data.items[TITLE].to_list() == ["Amélie", "Heat, the film"]
    there, here = (source_fingerprint(DataConfig(source=str(one))) for one in (place, folder))
    assert there == here, "the content counts, not the place"


def test_archives_globs_and_single_tables_may_lie_on_s3(
    tmp_path: Path, bucket: str, zipped: Zipped, small_100k: dict[str, bytes]
) -> None:
    folder = written(
        tmp_path / "mine", a1_csv=csv(FRAME.head(2)), a2_csv=csv(FRAME.tail(1)),
        films_csv=csv(FILMS), stock_csv=b"item_id\n20\n",
    )  # fmt: skip
    (folder / "ml-100k.zip").write_bytes(zipped(small_100k))
    place = uploaded(bucket, folder)
    films = {"items": f"{place}/films.csv", "candidates": f"{place}/stock.csv"}
    data = loaded(f"{place}/a*.csv", tmp_path, **films)
    assert rows(data) == ROWS
    assert data.items[AVAILABLE].to_list() == [False, True]
    assert loaded(f"{place}/ml-100k.zip", tmp_path).interactions.height == 5
    with pytest.raises(DataError, match="does not exist"):
        loaded(f"{place}/nothing", tmp_path)


def test_files_globs_and_uris_are_named_one_by_one(tmp_path: Path) -> None:
    folder = written(
        tmp_path / "mine",
        a1_csv=csv(FRAME.head(2)),
        a2_csv=csv(FRAME.tail(1)),
        films_csv=csv(FILMS),
    )
    glob = loaded(folder / "a*.csv", tmp_path, items=str(folder / "films.csv"))
    assert rows(glob) == ROWS
    assert glob.items[TITLE][0] == "Amélie"
    uri = loaded(f"file://{folder}/a*.csv", tmp_path, items=f"file://{folder}/films.csv")
    assert rows(uri) == ROWS
    alone = load_dataset(DataConfig(interactions=str(folder / "a1.csv")), tmp_path)
    assert alone.items.rows() == [
        (10, "10", None, [], None, True),
        (20, "20", None, [], None, True),
    ]
    before = source_fingerprint(DataConfig(source=str(folder / "a*.csv")))
    written(folder, a2_csv=csv(FRAME.head(1)))
    assert source_fingerprint(DataConfig(source=str(folder / "a*.csv"))) != before


def test_ids_of_text_files_keep_their_zeros(tmp_path: Path) -> None:
    frame = FRAME.with_columns(pl.col(ITEM).cast(pl.String).str.zfill(5))
    data = loaded(written(tmp_path / "mine", interactions_csv=csv(frame)), tmp_path)
    assert data.interactions[ITEM].to_list() == ["00010", "00020", "00020"]


NAMES = {
    "MovieLens": ("userId", "movieId", "rating", "timestamp", "movieId", "title"),
    "RecBole": ("user_id:token", "item_id:token", "rating:float", "timestamp:float",
                "item_id:token", "movie_title:token_seq"),
    "RecTools": ("user_id", "item_id", "weight", "datetime", "item_id", "title"),
    "Amazon": ("reviewerID", "asin", "overall", "unixReviewTime", "asin", "title"),
    "Amazon 2023": ("user_id", "parent_asin", "rating", "timestamp", "parent_asin", "title"),
    "upper case": ("USER_ID", "ITEM_ID", "RATING", "TIMESTAMP", "ITEM_ID", "TITLE"),
    "catalogue": ("CustomerId", "product_id", "stars", "date", "id", "name"),
}  # fmt: skip


@pytest.mark.parametrize("peer", NAMES)
def test_usual_column_names_are_recognised_and_said(peer: str, tmp_path: Path) -> None:
    user, item, rating, time, own, title = NAMES[peer]
    frame = FRAME.rename({USER: user, ITEM: item, RATING: rating, TIMESTAMP: time})
    films = FILMS.rename({ITEM: own, TITLE: title})
    folder = written(tmp_path / "mine", interactions_csv=csv(frame), items_csv=csv(films))
    data = loaded(folder, tmp_path, feedback="explicit")
    assert rows(data) == ROWS
    assert data.items[TITLE][0] == "Amélie"
    said = " ".join(data.notes)
    assert (f"{title} as title" in said) == (title != TITLE)
    assert (f"{item} as item_id" in said) == (item != ITEM)


def test_column_names_of_ones_own_are_given(tmp_path: Path) -> None:
    frame = FRAME.rename({USER: "who", ITEM: "what", RATING: "how"})
    folder = written(
        tmp_path / "mine", interactions_csv=csv(frame),
        items_csv=csv(FILMS.rename({ITEM: "nr", TITLE: "label"})),
    )  # fmt: skip
    with pytest.raises(DataError, match=r"missing columns user_id, item_id") as caught:
        loaded(folder, tmp_path)
    assert "(it has timestamp, who, what, how)" in str(caught.value)
    assert "missing columns item_id, title (it has genres, nr, label)" in str(caught.value)
    assert "--data.columns" in caught.value.fix
    columns = "{user_id: who, item_id: [what, nr], rating: how, title: label}"
    assert rows(loaded(folder, tmp_path, columns=columns)) == ROWS


CSV_LENS = {
    "ratings.csv": b"userId,movieId,rating,timestamp\n1,7,4.5,100\n2,8,0.5,200\n",
    "movies.csv": 'movieId,title,genres\n7,"Misérables, Les (1995)",Drama|War\n'
    "8,Untitled,(no genres listed)\n".encode(),
    "links.csv": b"movieId,imdbId,tmdbId\n7,0113828,4415\n8,0000001,\n",
}
DAT_LENS = {
    "ratings.dat": b"1::7::4.5::100\n2::8::0.5::200\n",
    "movies.dat": "7::Misérables, Les (1995)::Drama|War\n"
    "8::Untitled::(no genres listed)\n".encode(),
}
LENSES = {
    "ml-25m": CSV_LENS,
    "ml-10M100K": DAT_LENS,
    "ml-10m in Latin-1": DAT_LENS
    | {"movies.dat": DAT_LENS["movies.dat"].decode().encode("latin-1")},
    "MovieTweetings": DAT_LENS | {"users.dat": b"1::177651718\n2::139564917\n"},
}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("lens", LENSES)
def test_every_published_movielens_is_read(
    lens: str, packed: bool, zipped: Zipped, tmp_path: Path
) -> None:
    name = lens.partition(" ")[0]
    if packed:
        place = tmp_path / f"{name}.zip"
        place.write_bytes(zipped({f"{name}/{one}": data for one, data in LENSES[lens].items()}))
    else:
        place = tmp_path / name
        place.mkdir()
        for one, data in LENSES[lens].items():
            (place / one).write_bytes(data)
    data = loaded(place, tmp_path)
    assert data.name == name
    assert rows(data) == [(1, 7, 4.5, 100), (2, 8, 0.5, 200)]
    assert data.items.select(ITEM, TITLE, YEAR, GENRES).rows() == [
        (7, "Les Misérables", 1995, ["Drama", "War"]), (8, "Untitled", None, []),
    ]  # fmt: skip
    assert (data.scale.rating_min, data.scale.rating_max) == (0.5, 5.0)
    if TMDB_ID in data.items.columns:
        assert data.items[TMDB_ID].to_list() == ["4415", None]


def test_movielens_100k_in_utf_8_keeps_its_accents(
    small_100k: dict[str, bytes], tmp_path: Path
) -> None:
    for name, data in small_100k.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data.decode("latin-1").encode())
    data = load_dataset(DataConfig(folder=str(tmp_path / "ml-100k")), tmp_path / "cache")
    assert data.items[TITLE].to_list() == ["Toy Story", "Il Postino", "Les Misérables"]


def test_further_columns_are_seen_only_where_chosen(tmp_path: Path) -> None:
    films = FILMS.with_columns(
        original_language=pl.lit("en"), status=pl.lit("Released"), reason=pl.lit("x"),
        budget=pl.lit(3), director=pl.lit("Mann, Jeunet"), premiere=pl.lit("2001-04-25"),
    )  # fmt: skip
    folder = written(tmp_path / "mine", interactions_csv=csv(FRAME), items_csv=csv(films))
    data = loaded(folder, tmp_path)
    assert data.items.columns == [ITEM, TITLE, YEAR, GENRES, "overview", AVAILABLE]
    (note,) = [note for note in data.notes if "left out" in note]
    assert "budget, director, original_language, premiere, reason, status" in note
    chosen = loaded(
        folder, tmp_path, text_columns={"director": "labels", "budget": "number",
                                        "status": "prose", "premiere": "date"},
    ).items  # fmt: skip
    assert chosen.row(0, named=True)["director"] == ["Mann", "Jeunet"]
    assert chosen.schema["budget"] == pl.Float64
    assert chosen["premiere"].to_list()[0].year == 2001
    with pytest.raises(DataError, match="no column actor"):
        loaded(folder, tmp_path, text_columns={"actor": "labels"})


def test_items_without_genres_or_without_a_table_are_items(tmp_path: Path) -> None:
    folder = written(
        tmp_path / "mine", interactions_csv=csv(FRAME), items_csv=csv(FILMS.drop(GENRES))
    )
    assert loaded(folder, tmp_path).items[GENRES].to_list() == [[], []]


def test_parts_may_lie_in_files_of_their_own(tmp_path: Path) -> None:
    folder = written(
        tmp_path / "mine", train_csv=csv(FRAME.head(1)), val_csv=csv(FRAME.slice(1, 1)),
        test_csv=csv(FRAME.tail(1)), items_csv=csv(FILMS),
    )  # fmt: skip
    data = loaded(folder, tmp_path)
    assert rows(data) == ROWS
    assert data.interactions["part"].to_list() == ["train", "valid", "test"]


LOANS = FRAME.with_columns(
    title=pl.Series(["Amélie (2001)", "Heat", "Heat"]), genres=pl.Series(["A|B", "C", "C"]),
    summary=pl.Series(["lovely", "dull", "loud"]), branch=pl.lit("North"),
)  # fmt: skip
"""Interactions that repeat what their items are, and say what their users thought."""


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_items_are_taken_from_interactions_that_describe_them(suffix: str, tmp_path: Path) -> None:
    write = {"csv": csv, "parquet": parquet, "jsonl": lines}[suffix]
    place = tmp_path / f"loans.{suffix}"
    place.write_bytes(write(LOANS))
    data = loaded(place, tmp_path)
    assert rows(data) == ROWS
    assert data.items.select(ITEM, TITLE, YEAR, GENRES, "overview").rows() == [
        (10, "Amélie", 2001, ["A", "B"], None), (20, "Heat", None, ["C"], None),
    ]  # fmt: skip
    assert "items described by the interactions: title, genres" in data.notes
    assert f"columns of loans.{suffix} left out: summary, branch" in data.notes


def test_what_differs_between_rows_of_an_item_is_not_the_items(tmp_path: Path) -> None:
    """The title of a review is none of the product; a column that was named is taken for one."""
    place = tmp_path / "reviews.csv"
    place.write_bytes(csv(LOANS.drop("title", "genres").rename({"summary": "title"})))
    assert loaded(place, tmp_path).items[TITLE].to_list() == ["10", "20"]
    data = loaded(place, tmp_path, columns={"title": "title"})
    assert data.items[TITLE].to_list() == ["lovely", "dull"]
    assert "1 items have more than one title: the first is taken" in data.notes


def test_what_is_the_same_in_every_row_is_not_the_items(tmp_path: Path) -> None:
    """An export of one year: it is the loans' year, unless a person says otherwise."""
    place = tmp_path / "loans.csv"
    place.write_bytes(csv(LOANS.with_columns(year=pl.lit(2023))))
    assert loaded(place, tmp_path).items[YEAR].to_list() == [2001, None]
    named = loaded(place, tmp_path, columns={"year": "year"})
    assert named.items[YEAR].to_list() == [2023, 2023]


def test_a_title_of_ones_own_name_is_taken_from_the_interactions(tmp_path: Path) -> None:
    place = tmp_path / "leihe.csv"
    place.write_bytes(csv(LOANS.rename({"title": "Titel", "branch": "Ort"})))
    columns = {"title": "Titel"}
    data = loaded(place, tmp_path, columns=columns, text_columns={"Ort": "labels"})
    assert data.items.select(TITLE, "Ort").rows() == [("Amélie", ["North"]), ("Heat", ["North"])]
    with pytest.raises(DataError, match="no column Stadt"):
        loaded(place, tmp_path, columns=columns, text_columns={"Stadt": "labels"})


def test_an_items_table_is_surer_than_what_interactions_say(tmp_path: Path) -> None:
    folder = written(
        tmp_path / "mine", interactions_csv=csv(LOANS),
        items_csv=csv(pl.DataFrame({ITEM: [10, 20], TITLE: ["One", "Two"]})),
    )  # fmt: skip
    data = loaded(folder, tmp_path)
    assert data.items[TITLE].to_list() == ["One", "Two"]
    assert "columns of interactions.csv left out: title, genres, summary, branch" in data.notes


def test_items_of_every_part_are_described(tmp_path: Path) -> None:
    """An item is known by whichever part names it; one that no part names has its id."""
    more = pl.DataFrame([(2, 10, 4.0, 150), (3, 30, 4.0, 150)], schema=FRAME.schema, orient="row")
    titled = FRAME.vstack(more).with_columns(
        pl.col(ITEM).replace_strict({10: "Amélie", 20: "Heat"}, default=None).alias(TITLE)
    )
    folder = written(
        tmp_path / "mine", train_csv=csv(titled.filter(pl.col(ITEM) == 10)),
        val_csv=csv(titled.slice(1, 1).drop(TITLE)), test_csv=csv(titled.filter(pl.col(USER) != 2)),
    )  # fmt: skip
    items = loaded(folder, tmp_path, repeats="last").items
    expected = [(10, "Amélie", True), (20, "Heat", True), (30, "30", True)]
    assert items.select(ITEM, TITLE, AVAILABLE).sort(ITEM).rows() == expected
