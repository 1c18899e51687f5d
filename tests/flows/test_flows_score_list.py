import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from flows.score_list import main
from recsys_core.columns import ITEM, RANK, RATING, SCORE, TIMESTAMP, USER

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    """Ten users with five ratings each; fold 1 of `blocks` holds users 0 and 1."""
    rows = [(f"u{u}", f"i{(u + n) % 10}", float(n % 5 + 1)) for u in range(10) for n in range(5)]
    table = pl.DataFrame(rows, schema=[USER, ITEM, RATING], orient="row")
    table.with_columns(pl.lit(None, pl.Int64).alias(TIMESTAMP)).write_parquet(
        tmp_path / "interactions.parquet"
    )
    lists = pl.DataFrame(
        {USER: ["u0", "u0", "u1", "u1"], ITEM: ["i4", "i0", "i9", "i4"], RANK: [1, 2, 1, 2]}
    )
    lists.write_parquet(tmp_path / "lists.parquet")
    return tmp_path


def run(folder, *more, lists="lists.parquet"):
    files = ["--recommendations", folder / lists, "--interactions", folder / "interactions.parquet"]
    return main([str(part) for part in (*files, "--split", "blocks", "--k", 2, *more)])


def test_json_holds_metrics_intervals_users_and_how_it_was_measured(folder, capsys):
    assert run(folder, "--json", "--method", "mine") == 0
    summary = json.loads(capsys.readouterr().out)
    # u0 rated i3 and i4 with 4 and 5, u1 rated i4 and i5 so; 2 of 2 x 2 places are hits.
    assert summary["metrics"]["precision"] == pytest.approx(1 / 2 * (1 / 2 + 1 / 2))
    assert summary["metrics"]["recall"] == pytest.approx(1 / 2 * (1 / 2 + 1 / 2))
    assert summary["metrics"]["mrr"] == pytest.approx(1 / 2 * (1 / 1 + 1 / 2))
    low, high = summary["intervals"]["mrr"]
    assert low <= summary["metrics"]["mrr"] <= high
    assert summary["users"]["ndcg"] == summary["test_users"] == 2
    wanted = {"method": "mine", "protocol": "full", "split": "blocks", "fold": 1, "k": 2}
    assert wanted.items() <= summary.items()


def test_condensed_and_the_cold_filter_are_named(folder, capsys):
    more = ("--protocol", "condensed", "--max-train-interactions", 0, "--json")
    assert run(folder, *more) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["protocol"] == "condensed/cold<1"
    assert summary["metrics"]["precision"] == pytest.approx(1 / 2 * (1 / 2 + 1 / 1))


def test_without_json_a_table_is_printed(folder, capsys):
    assert run(folder) == 0
    text = capsys.readouterr().out
    assert "lists: protocol full, blocks split, fold 1, 2 test users" in text
    assert "ndcg" in text


def test_where_no_user_is_cold_the_values_are_null(folder, capsys):
    path = folder / "interactions.parquet"
    # One rating of every user in each block: everybody keeps four for training.
    pl.read_parquet(path).sort(RATING, maintain_order=True).write_parquet(path)
    assert run(folder, "--max-train-interactions", 3, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["test_users"] == 0
    assert set(summary["metrics"].values()) == {None}
    assert run(folder, "--max-train-interactions", 3) == 0
    assert "-" in capsys.readouterr().out


LISTS = {"u0": ["i4", "i0"], "u1": ["i9", "i4"]}
LONG = pl.DataFrame([(u, i, r) for u, one in LISTS.items() for r, i in enumerate(one, 1)],
                    schema=[USER, ITEM, RANK], orient="row")  # fmt: skip
NESTED = pl.DataFrame({USER: list(LISTS), "items": list(LISTS.values())})
SCORED = LONG.select(USER, ITEM, (1 / pl.col(RANK)).alias(SCORE))
MASKED = pl.DataFrame({USER: ["u0", "u1"], ITEM: ["i1", "i2"], SCORE: [float("-inf")] * 2})
SHAPES = {
    "lists": ("parquet", NESTED),
    "lists and scores": ("parquet", NESTED.with_columns(scores=pl.lit([0.9, 0.1]))),
    "objects": ("parquet", NESTED.select(USER, pl.col("items").list.eval(
        pl.struct(pl.element().alias(ITEM), (-pl.int_range(pl.len()).cast(pl.Float64)).alias(SCORE))
    ))),
    "printed lists": ("csv", NESTED.select(USER, pl.col("items").list.eval(
        pl.format("'{}'", pl.element())).list.join(", ").alias("items")).with_columns(
        pl.format("[{}]", "items").alias("items"))),
    "JSON lines of lists": ("jsonl", NESTED),
    "CSV": ("csv", LONG),
    "TSV under other names": ("tsv", LONG.rename({USER: "userId", ITEM: "movieId", RANK: "Rank"})),
    "float ranks": ("parquet", LONG.with_columns(pl.col(RANK).cast(pl.Float64))),
    "ranks from 0": ("parquet", LONG.with_columns(pl.col(RANK) - 1)),
    "categories": ("parquet", LONG.with_columns(pl.col(USER, ITEM).cast(pl.Categorical))),
    "minus infinity": ("parquet", pl.concat([SCORED, MASKED])),
    "TREC": ("run.txt", LONG.select(
        line=pl.format("{} Q0 {} {} {} mine", USER, ITEM, RANK, -pl.col(RANK)))),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_lists_of_every_shape_are_measured_alike(folder, capsys, shape):
    suffix, frame = SHAPES[shape]
    path = folder / f"shape.{suffix}"
    if suffix == "parquet":
        frame.write_parquet(path)
    elif suffix == "jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if suffix == "tsv" else ",",
                        include_header=shape != "TREC")  # fmt: skip
    assert run(folder, "--json") == 0
    expected = json.loads(capsys.readouterr().out)["metrics"]
    assert run(folder, "--json", lists=path.name) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == expected


def test_ids_are_compared_however_they_are_written(folder, capsys):
    for name in ("interactions", "lists"):
        table = pl.read_parquet(folder / f"{name}.parquet")
        bare = table.with_columns(pl.col(USER, ITEM).str.slice(1))
        number = bare.with_columns(pl.col(USER, ITEM).cast(pl.Int64))
        (number if name == "lists" else bare).write_parquet(folder / f"{name}.parquet")
    assert run(folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["test_users"] == 2


def test_test_interactions_may_have_a_file_of_their_own(folder, capsys):
    table = pl.read_parquet(folder / "interactions.parquet")
    tested = pl.col(USER).is_in(["u0", "u1"])
    table.filter(tested).write_csv(folder / "mine.csv")
    table.filter(~tested).write_parquet(folder / "interactions.parquet")
    assert run(folder, "--json", "--test", folder / "mine.csv") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["split"], summary["test_users"]) == ("given", 2)
    assert summary["metrics"]["mrr"] == pytest.approx(1 / 2 * (1 / 1 + 1 / 2))


def test_unary_interactions_need_no_rating(folder, capsys):
    path = folder / "interactions.parquet"
    pl.read_parquet(path).drop(RATING).write_parquet(path)
    assert run(folder, "--json") == 0
    # All five items of each test user are relevant.
    assert json.loads(capsys.readouterr().out)["metrics"]["recall"] == pytest.approx(
        1 / 2 * (2 / 5 + 1 / 5)
    )


def test_a_score_stands_in_for_the_rank(folder, capsys):
    table = pl.read_parquet(folder / "lists.parquet")
    table.with_columns((-pl.col(RANK).cast(pl.Float64)).alias(SCORE)).drop(RANK).write_parquet(
        folder / "scores.parquet"
    )
    run(folder, "--json")
    ranks = json.loads(capsys.readouterr().out)
    run(folder, "--json", lists="scores.parquet")
    assert json.loads(capsys.readouterr().out)["metrics"] == ranks["metrics"]


def test_the_catalogue_beside_the_interactions_is_used(folder, capsys):
    lists = pl.read_parquet(folder / "lists.parquet")
    lists.with_columns(pl.col(ITEM).replace("i9", "i99")).write_parquet(folder / "lists.parquet")
    assert run(folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["notes"]["items_without_interactions"] == 1
    pl.DataFrame({ITEM: [f"i{n}" for n in range(10)]}).write_parquet(folder / "items.parquet")
    assert run(folder) == 2
    assert "item_id are not in the data ('i99')" in capsys.readouterr().err


BAD = {
    "missing file": (
        ("--recommendations", "nowhere.parquet"),
        "nowhere.parquet cannot be read: it does not exist",
    ),
    "no table": (("--recommendations", __file__), "has no table that can be read"),
    "fold out of range": (("--fold", "6"), "fold: Input should be less than or equal to 5"),
    "rating scale": (("--rating-max", "3"), "outside the scale 1 to 3"),
    "threshold": (("--positive", "9"), "positive=9.0"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_wrong_input_is_one_message_on_stderr_and_status_2(folder, capsys, arguments, message):
    assert run(folder, *arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert not out
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.exclude(RANK), "Expected: user_id, item_id and rank (or score)"),
        (pl.all().exclude(USER), "Expected: user_id, item_id and rank"),
        ((pl.col(USER).str.slice(1).cast(pl.Int64), ITEM, RANK), "user_id has type Int64"),
        ((USER, ITEM, pl.col(RANK) + 0.5), "column rank holds values that are no whole numbers"),
        ((USER, ITEM, pl.lit(float("nan")).alias(SCORE)), "not finite"),
    ],
)  # fmt: skip
def test_a_wrong_list_is_explained(folder, capsys, change, message):
    table = pl.read_parquet(folder / "lists.parquet")
    table.select(change).write_parquet(folder / "wrong.parquet")
    assert run(folder, lists="wrong.parquet") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [("--k", "0"), ("--k", "x"), ("--max-train-interactions", "-1")]
)
def test_impossible_numbers_are_refused_by_the_parser(folder, capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        run(folder, *arguments)
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_the_command_starts_without_prefect_and_heavy_libraries():
    heavy = "prefect", "torch", "dgl", "litellm", "sentence_transformers", "sklearn", "scipy"
    code = f"import flows.score_list, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.data
def test_the_papers_list_is_scored_from_the_command_line(shared_data):
    done = subprocess.run(
        [
            sys.executable, "-m", "flows.evaluate", "--json", "--fold", "1", "--k", "10",
            "--recommendations", shared_data / "paper/recommendations/unified_structure.parquet",
            "--interactions", shared_data / "ml-100k/interactions.parquet",
        ],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    summary = json.loads(done.stdout)
    assert summary["split"] == "blocks"
    assert summary["metrics"]["ndcg"] == pytest.approx(0.4244, abs=5e-5)
    assert summary["metrics"]["precision"] == pytest.approx(0.3588, abs=5e-5)
    assert summary["metrics"]["recall"] == pytest.approx(0.2173, abs=5e-5)
