"""Folders as they are published, whose files have names and forms of their own."""

from pathlib import Path

import polars as pl
import pytest

from recsys_core.columns import ITEM, RATING, TIMESTAMP, TITLE, USER, YEAR
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract import Dataset
from recsys_core.datasets.load import load_dataset
from recsys_core.errors import DataError

BOOKS = {
    "BX-Book-Ratings.csv": '"User-ID";"ISBN";"Book-Rating"\n"7";"034X";"0"\n"8";"0155";"5"\n'
    '"8";"034X";"10"\n',
    "BX-Books.csv": '"ISBN";"Book-Title";"Year-Of-Publication"\n"034X";"Flésh";"2002"\n'
    '"0155";"Rites";"0"\n',
    "BX-Users.csv": '"User-ID";"Location";"Age"\n"7";"a, b";NULL\n"8";"c";"18"\n',
}
SHOP = {
    "transactions_train.csv": "t_dat,customer_id,article_id,price\n2018-09-20,a,0663,0.05\n"
    "2018-09-21,b,0541,0.03\n",
    "articles.csv": "article_id,prod_name,product_type_name\n0663,Strap top,Vest top\n"
    "0541,Bra,Bra\n",
    "customers.csv": "customer_id,age,postal_code\na,49,00123\nb,,52043\n",
}
PLACES = {
    "academic_dataset_review.json": '{"review_id":"r","user_id":"u1","business_id":"b1",'
    '"stars":4.0,"date":"2015-03-03 10:00:01"}\n{"review_id":"s","user_id":"u2",'
    '"business_id":"b2","stars":2.0,"date":"2016-03-03 10:00:01"}\n',
    "academic_dataset_business.json": '{"business_id":"b1","name":"Cafe","categories":"Food"}\n'
    '{"business_id":"b2","name":"Bar","categories":null}\n',
}


def loaded(folder: Path, files: dict[str, str], **fields: object) -> Dataset:
    for name, text in files.items():
        path = folder / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1" if "é" in text else "utf-8")
    config = DataConfig.model_validate({"source": str(folder / "mine"), **fields})
    return load_dataset(config, folder / "cache")


def test_books_with_names_of_their_own(tmp_path: Path) -> None:
    data = loaded(tmp_path, BOOKS)
    assert data.interactions.select(USER, ITEM, RATING).rows() == [
        (7, "034X", 0.0), (8, "0155", 5.0), (8, "034X", 10.0),
    ]  # fmt: skip
    assert data.items.select(TITLE, YEAR).rows() == [("Flésh", 2002), ("Rites", None)]
    assert data.users is not None
    assert data.users["Age"].to_list() == [None, 18], "amounts are numbers, not texts"
    assert any("if 0 means that there is no rating" in note for note in data.notes)


def test_a_shop_whose_files_are_told_by_their_columns(tmp_path: Path) -> None:
    data = loaded(tmp_path, SHOP | {"notes.txt": "bought\nonline\n"})
    assert data.interactions.select(USER, ITEM).rows() == [("a", "0663"), ("b", "0541")]
    assert data.items[TITLE].to_list() == ["Strap top", "Bra"]
    assert data.users is not None
    assert data.users["age"].to_list() == [49, None]
    assert data.users["postal_code"].to_list() == ["00123", "52043"], "a code keeps its zeros"
    assert "columns of transactions_train.csv left out: price" in data.notes
    assert "files left out: notes.txt" in data.notes


def test_json_lines_told_by_their_columns(tmp_path: Path) -> None:
    data = loaded(tmp_path, PLACES, feedback="explicit")
    assert data.interactions.select(USER, ITEM, RATING).rows() == [("u1", "b1", 4), ("u2", "b2", 2)]
    assert data.items[TITLE].to_list() == ["Cafe", "Bar"]


def test_of_two_logs_the_one_with_ratings_is_taken_and_equal_ones_are_refused(
    tmp_path: Path,
) -> None:
    rated = "user,song_id,rating\n1,5,4\n2,6,1\n1,6,3\n"
    tagged = "user,song_id,tag\n1,5,slow\n"
    data = loaded(tmp_path / "a", {"rated.csv": rated, "tagged.csv": tagged})
    assert data.interactions.height == 3
    assert "files left out: tagged.csv" in data.notes
    with pytest.raises(DataError, match=r"2 files that could be the interactions: a.csv, b.csv"):
        loaded(tmp_path / "b", {"a.csv": rated, "b.csv": rated})


def test_an_only_id_beside_the_user_is_the_items(tmp_path: Path) -> None:
    log = "user_id,podcast_id,rating\n1,5,4\n2,6,1\n1,6,3\n"
    shows = "podcast_id,title\n5,Hello\n6,World\n"
    data = loaded(tmp_path, {"ratings.csv": log, "podcasts.csv": shows})
    assert data.items[TITLE].to_list() == ["Hello", "World"]


@pytest.mark.parametrize("name", ["artist", "Book", "title", "url"])
def test_items_that_are_called_by_their_name_where_there_is_no_id(
    tmp_path: Path, name: str
) -> None:
    log = f"user,{name},plays\na,http://x.org/1,4\nb,http://x.org/2,1\n"
    data = loaded(tmp_path / "a", {"plays.csv": log})
    assert data.interactions.select(USER, ITEM).rows() == [
        ("a", "http://x.org/1"), ("b", "http://x.org/2"),
    ]  # fmt: skip
    assert f"{name} as item_id" in data.notes[0]
    both = loaded(tmp_path / "b", {"plays.csv": f"user,place_id,{name}\na,7,x\nb,8,y\n"})
    assert both.interactions[ITEM].to_list() == [7, 8], "an id is surer than a name"


@pytest.mark.parametrize("form", ["ratings_Toys.csv", "u.txt"])
def test_without_a_header_columns_are_user_item_rating_and_time(tmp_path: Path, form: str) -> None:
    rows = [("A1", "0132", "5.0", "1365811200"), ("A2", "0133", "1.0", "1341100800"),
            ("A1", "0133", "4.5", "1341100801")]  # fmt: skip
    if form == "u.txt":
        rows = [("7", "32", "5", "1365811200"), ("8", "33", "1", "1341100800"),
                ("7", "33", "4", "1341100801")]  # fmt: skip
    separator = " " if form == "u.txt" else ","
    text = "".join(separator.join(row) + "\n" for row in rows)
    data = loaded(tmp_path, {form: text})
    assert data.interactions[RATING].to_list() == [float(row[2]) for row in rows]
    assert data.interactions[TIMESTAMP].to_list() == [int(row[3]) for row in rows]
    assert data.interactions[ITEM].to_list() == [
        int(row[1]) if form == "u.txt" else row[1] for row in rows
    ]
    assert any("has no header" in note for note in data.notes)


@pytest.mark.parametrize(
    ("form", "separator"), [("ratings.dat", "::"), ("filmtrust.txt", " "), ("ratings.tsv", "\t")]
)
def test_numbers_with_halves_may_be_divided_by_anything(
    tmp_path: Path, form: str, separator: str
) -> None:
    rows = [("7", "32", "2.5", "1365811200"), ("8", "33", "4.0", "1341100800"),
            ("7", "33", "0.5", "1341100801")]  # fmt: skip
    data = loaded(tmp_path, {form: "".join(separator.join(row) + "\n" for row in rows)})
    assert data.interactions.select(USER, ITEM, RATING).rows() == [
        (7, 32, 2.5), (8, 33, 4.0), (7, 33, 0.5),
    ]  # fmt: skip
    named = "user::movie::rating\n7::Heat::4\n8::Alien::2\n"
    data = loaded(tmp_path / "named", {"ratings.dat": named}, feedback="explicit")
    assert data.interactions[ITEM].to_list() == ["Heat", "Alien"]


def test_more_columns_without_a_header_are_named_by_number(tmp_path: Path) -> None:
    text = '15,"The Elder Scrolls",play,273.0,0\n52,"Dota 2",play,5.5,0\n15,"Dota 2",play,1,0\n'
    with pytest.raises(DataError, match=r"it has no header: --data\.columns"):
        loaded(tmp_path, {"steam.csv": text})
    columns = {USER: "column_0", ITEM: "column_1", RATING: "column_3"}
    data = loaded(tmp_path, {"steam.csv": text}, columns=columns)
    assert data.scale.is_implicit
    assert data.items[TITLE].to_list() == ["Dota 2", "The Elder Scrolls"]


def test_adjacency_lists(tmp_path: Path) -> None:
    data = loaded(tmp_path, {"train.txt": "0 1 2 3\n1 2 5\n2 9\n", "test.txt": "0 7 8\n1 8\n"})
    train = data.interactions.filter(pl.col("part") == "train")
    assert train.select(USER, ITEM).rows() == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 5), (2, 9)]
    assert data.interactions.filter(pl.col("part") == "test").height == 3


def test_tables_in_a_folder_below_are_pointed_to(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data/raw/ratings.csv: try --data.source \S+/data/raw"):
        loaded(tmp_path, {"data/raw/ratings.csv": "userId,movieId,rating\n1,31,2.5\n"})


VALUES = {
    "decimal commas": ("user;item;rating\n1;5;2,5\n2;6;4,0\n", [2.5, 4.0]),
    "true and false": ("user;item;liked\n1;5;True\n2;6;False\n", [1.0, 0.0]),
}


@pytest.mark.parametrize("case", VALUES)
def test_ratings_as_people_write_them(tmp_path: Path, case: str) -> None:
    text, values = VALUES[case]
    data = loaded(tmp_path, {"log.csv": text})
    assert data.interactions[RATING].to_list() == values
    assert not data.scale.is_implicit


def test_a_lone_minus_one_is_outside_of_the_scale(tmp_path: Path) -> None:
    files = {"rating.csv": "user_id,anime_id,rating\n1,20,-1\n1,24,8\n2,20,10\n2,24,2\n"}
    with pytest.raises(DataError, match="outside the scale 1 to 10"):
        loaded(tmp_path, files)
    data = loaded(tmp_path, files, out_of_scale="drop")
    assert (data.interactions.height, data.scale.rating_min) == (3, 1.0)


def test_years_of_titles_and_fractions_of_seconds(tmp_path: Path) -> None:
    log = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t5\t4\t887431973.5\n"
    more = "2\t6\t2\t887431974\n1\t6\t5\t887431975\n"
    films = "item_id:token\tname:token\n5\tAlien (1979)\n6\tHeat (1995)\n"
    data = loaded(tmp_path, {"x.inter": log + more, "x.item": films})
    assert data.interactions[TIMESTAMP].to_list() == [887431973, 887431974, 887431975]
    assert data.items.select(TITLE, YEAR).rows() == [("Alien", 1979), ("Heat", 1995)]
