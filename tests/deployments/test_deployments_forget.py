"""A user is found in every place of this machine, removed, and nobody else is."""

import asyncio
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from deployments.forget import ELSEWHERE, forget, main
from recsys_core import columns as c
from recsys_core.artifacts import ArtifactStore
from recsys_core.llm.store.answers import AnswerCache
from recsys_core.processes import temporary_name, this_process
from recsys_core.report.folder import publish
from tests.recsys_core.llm.store.test_store_answers import call, claim, record

SECRET = "loves films about a very particular lighthouse"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    store = ArtifactStore(root=str(tmp_path / "artifacts"))
    schema = {c.USER: pl.String, c.ITEM: pl.Int64, c.RANK: pl.Int32}
    for name, users in (("both", ["ann", "bob"]), ("bob", ["bob"]), ("annette", ["annette"])):
        frame = pl.DataFrame({c.USER: users, c.ITEM: 1, c.RANK: 1}, schema=schema)
        with store.writer(name, name * 20) as out:
            out.table("lists", frame, c.RANKING)
            out.commit(version="1", parameters={}, inputs={}, built_by="x", seconds=0,
                       peak_memory_mib=0)  # fmt: skip
        frame.write_parquet(tmp_path / "one.parquet")
        data = {"recommendations.parquet": (tmp_path / "one.parquet").read_bytes()}
        publish(str(tmp_path / "runs"), name, data)

    async def fill() -> None:
        cache = AnswerCache(f"sqlite:///{tmp_path / 'artifacts' / 'llm.sqlite'}")
        for subject in ("user:ann", "user:bob", "user:annette", "item:1"):
            one = call(subject, subject=subject)
            await cache.put(record(subject, f"{SECRET} {subject}.", call=one))
        await cache.close()

    asyncio.run(fill())
    return tmp_path


def of(place: Path) -> tuple[set[str], set[str], bytes]:
    artifacts = {one.parent.parent.name for one in place.glob("artifacts/*/*/manifest.json")}
    runs = {one.name for one in (place / "runs").iterdir() if not one.is_symlink()}
    files = b"".join(one.read_bytes() for one in place.glob("artifacts/llm.sqlite*"))
    return artifacts, runs, files


def roots(place: Path) -> dict[str, str]:
    return {"artifacts": str(place / "artifacts"), "runs": str(place / "runs")}


def test_a_dry_run_finds_and_removes_nothing(place: Path) -> None:
    before = of(place)[:2]
    found = forget("ann", **roots(place), dry_run=True)
    assert len(found) == 3, found
    assert of(place)[:2] == before


def test_a_user_is_removed_everywhere_and_nobody_else_is(place: Path) -> None:
    forget("ann", **roots(place))
    artifacts, runs, files = of(place)
    assert artifacts == runs == {"bob", "annette"}
    assert f"{SECRET} user:ann.".encode() not in files
    for other in ("user:bob", "user:annette", "item:1"):
        assert f"{SECRET} {other}.".encode() in files
    assert forget("ann", **roots(place)) == []


def test_what_was_paid_stays_counted(place: Path) -> None:
    forget("ann", **roots(place))

    async def rows() -> list[dict[str, object]]:
        cache = AnswerCache(f"sqlite:///{place / 'artifacts' / 'llm.sqlite'}")
        try:
            return cache.calls()
        finally:
            await cache.close()

    subjects = [row[c.SUBJECT] for row in asyncio.run(rows())]
    assert subjects == ["user:forgotten", "user:bob", "user:annette", "item:1"]


def test_the_command_says_what_is_left_elsewhere(place: Path, capsys) -> None:
    arguments = ["--user", "ann", "--artifact-root", str(place / "artifacts"), "--runs-root",
                 str(place / "runs"), "--dry-run"]  # fmt: skip
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "Would remove folder" in told
    assert all(one in told for one in ELSEWHERE)
    assert main(["--user", "x", "--artifact-root", "s3://bucket/x"]) == 1


def test_what_a_killed_run_left_is_found_and_removed(place: Path) -> None:
    """Parts without a manifest, in folders below, and half-written files of a dead process."""
    root = place / "artifacts"
    frame = pl.DataFrame({c.USER: ["ann"]})
    for folder in ("half/0123", "half/4567/.unfinished"):
        (root / folder).mkdir(parents=True)
        frame.write_parquet(root / folder / "part-0.parquet")
    (root / "half" / "89ab").mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = this_process().model_copy(update={"pid": dead.pid})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys_core.processes.this_process", lambda: gone)
        name = temporary_name("lists.parquet")
    (root / "half" / "89ab" / name).write_bytes(b"PAR1 ann, half written")
    (place / "runs" / "bob" / "more").mkdir()
    frame.write_parquet(place / "runs" / "bob" / "more" / "list.parquet")
    forget("ann", **roots(place))
    left = sorted(str(one.relative_to(root)) for one in (root / "half").rglob("*"))
    assert left == ["half/89ab"]
    assert not (place / "runs" / "bob").exists()


def test_what_cannot_be_read_is_told_before_anything_is_removed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = of(place)[:2]
    damaged = next(place.glob("artifacts/annette/*/lists.parquet"))
    damaged.write_bytes(b"PAR1 no table PAR1")
    given = [f"--{name}={value}" for name, value in (
        ("user", "ann"), ("artifact-root", place / "artifacts"), ("runs-root", place / "runs")
    )]  # fmt: skip
    assert main(given) == 1
    told = capsys.readouterr().err
    assert "whether it holds the user is not known" in told
    assert str(damaged) in told
    assert of(place)[:2] == before


def test_what_is_under_way_about_a_user_is_found_and_nobody_of_a_like_name(place: Path) -> None:
    """A killed process left a lease: its subject would become a row of the ledger later."""
    url = f"sqlite:///{place / 'artifacts' / 'llm.sqlite'}"

    async def under_way() -> None:
        cache = AnswerCache(url)
        cache.open_session("gone")
        for name in ("ann", "ann lee"):
            asked = claim(f"never answered {name}", session="gone", subject=f"user:{name}")
            assert await cache.claim(asked) == "granted"
        await cache.close()

    async def settled() -> set[str]:
        cache = AnswerCache(url)
        cache.close_session("gone")
        try:
            return {row[c.SUBJECT] for row in cache.calls()}
        finally:
            await cache.close()

    asyncio.run(under_way())
    forget("ann", **roots(place))
    subjects = asyncio.run(settled())
    assert "user:ann" not in subjects
    assert {"user:forgotten", "user:ann lee"} <= subjects


def test_a_folder_that_no_run_wrote_is_told_and_left(place: Path) -> None:
    mine = place / "runs" / "mine"
    mine.mkdir()
    pl.DataFrame({c.USER: ["ann"]}).write_parquet(mine / "ratings.parquet")
    told = forget("ann", **roots(place))
    assert (mine / "ratings.parquet").exists()
    assert any(str(mine) in one for one in told)
