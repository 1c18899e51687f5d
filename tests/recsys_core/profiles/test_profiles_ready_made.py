from pathlib import Path

import polars as pl
import pytest

from recsys_core.columns import ITEM, PROFILE_TEXT, USER
from recsys_core.errors import DataError
from recsys_core.profiles.ready_made import read_ready_made
from recsys_core.profiles.schema import LABEL_CHARS, MAX_TAGS, Profile

GOOD = Profile(overview="o", genres=("Drama",), description="d").to_markdown("T")
KNOWN = pl.Series([1, 2, 3])


def written(folder: Path, **columns: object) -> str:
    path = folder / "profiles.parquet"
    pl.DataFrame(columns).write_parquet(path)
    return str(path)


def test_reads_counts_and_leaves_out(tmp_path: Path) -> None:
    path = written(tmp_path, item_id=[1, 2, 9], profile=[GOOD, None, GOOD])
    found = read_ready_made(path, ITEM, KNOWN)
    assert found.profiles == {1: Profile(overview="o", genres=("Drama",), description="d")}
    assert (found.unknown, found.empty, found.trimmed) == (1, 1, 0)


def test_long_texts_are_trimmed_and_counted(tmp_path: Path) -> None:
    tags = ", ".join(f"tag {number}" for number in range(50))
    text = GOOD.replace("**Tags**: ", f"**Tags**: {tags}").replace(
        "Dislikes", "Dislikes\n" + "x" * 99
    )
    found = read_ready_made(written(tmp_path, item_id=[1], profile=[text]), ITEM, KNOWN)
    assert found.trimmed == 1
    assert len(found.profiles[1].tags) == MAX_TAGS
    assert len(found.profiles[1].dislikes[0]) == LABEL_CHARS


def test_string_ids_and_narrow_integers(tmp_path: Path) -> None:
    strings = written(tmp_path, user_id=["a"], profile=[GOOD])
    assert list(read_ready_made(strings, USER, pl.Series(["a", "b"])).profiles) == ["a"]
    narrow = written(tmp_path, item_id=pl.Series([2], dtype=pl.Int16), profile=[GOOD])
    assert list(read_ready_made(narrow, ITEM, KNOWN).profiles) == [2]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"item_id": [1]}, "has the columns item_id"),
        ({"id": [1], PROFILE_TEXT: [GOOD]}, "has the columns id"),
        ({"item_id": [1.5], PROFILE_TEXT: [GOOD]}, "Float64"),
        ({"item_id": [1], PROFILE_TEXT: [7]}, "Int64"),
        ({"item_id": ["1"], PROFILE_TEXT: [GOOD]}, "type String, the data set's Int64"),
        ({"item_id": [1, 1], PROFILE_TEXT: [GOOD, GOOD]}, "item_id 1 has more than one"),
        ({"item_id": [3], PROFILE_TEXT: ["just text"]}, "item_id 3: A profile has no overview"),
    ],
)
def test_bad_files_are_explained(tmp_path: Path, columns: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_ready_made(written(tmp_path, **columns), ITEM, KNOWN)


def test_missing_and_corrupt_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_ready_made(str(tmp_path / "none.parquet"), ITEM, KNOWN)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_ready_made(str(tmp_path / "bad.parquet"), ITEM, KNOWN)


@pytest.mark.data
@pytest.mark.parametrize(("kind", "column", "rows"), [("item", ITEM, 1591), ("user", USER, 942)])
def test_every_profile_of_the_paper_is_read(
    shared_data: Path, kind: str, column: str, rows: int
) -> None:
    path = shared_data / "paper" / f"{kind}_profiles.parquet"
    known = pl.read_parquet(path)[column]
    found = read_ready_made(str(path), column, known)
    assert len(found.profiles) == rows
    assert found.unknown == 0
    assert found.empty == known.len() - rows
    assert all(profile.genres and profile.tags for profile in found.profiles.values())
    for profile in found.profiles.values():
        assert Profile.from_markdown(profile.to_markdown()) == profile
