"""The whole DAG on a small data set: outputs, caching, damage, bad input, interruption."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console
from safetensors.torch import load_file

from flows.command_line import console
from flows.evaluate import evaluate
from flows.personalize import main, personalize
from flows.train import train
from recsys_core.artifacts import read_manifest
from recsys_core.columns import (
    EXPLANATION,
    ITEM,
    METHOD,
    METRICS,
    MODEL,
    OVERVIEW,
    PROTOCOL,
    RANK,
    RATING,
    RECOMMENDATIONS,
    TIMESTAMP,
    USER,
    VALUE,
    VECTOR,
    check,
)  # fmt: skip
from recsys_core.config import RunConfig, load_config
from recsys_core.explanations.evaluation.metrics import EXPLANATIONS
from recsys_core.report.summary import Summary
from tests.small_data import N_ITEMS, N_USERS, SCALE, write_small

ROOT = Path(__file__).resolve().parents[2]
GRAPH = {"max_epochs": 20, "hidden": 16, "heads": 2, "effort": "quick"}
EVERYBODY = {"judge_everyone": True}
"""So that what reranking would do is measured also where the probe decides against it."""

pytestmark = pytest.mark.usefixtures("prefect_server")


def config_for(tmp: Path, **overrides: object) -> RunConfig:
    return load_config(
        None,
        {
            "data": {"source": str(tmp / "data"), **SCALE},
            "graph": GRAPH,
            "evaluation": {"bootstrap": 50},
            "fusion": EVERYBODY,
            "artifact_root": str(tmp / "artifacts"),
            "runs_root": str(tmp / "runs"),
            **overrides,
        },
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("run")
    write_small(tmp / "data")
    return tmp


@pytest.fixture(scope="module")
def first(place: Path, prefect_server: None) -> Summary:
    return personalize(config_for(place, run_name="first"))


def test_the_outputs_are_where_people_look_for_them(first: Summary, place: Path) -> None:
    folder = place / "runs" / "latest"
    assert folder.resolve() == Path(first.folder)
    assert {path.name for path in folder.glob("[!.]*")} == {
        "recommendations.parquet", "metrics.parquet", "llm_calls.parquet", "report.html",
        "summary.json", "per_user.parquet",
    }  # fmt: skip
    assert Summary.model_validate_json((folder / "summary.json").read_text()) == first


def test_every_user_gets_a_complete_list_with_reasons(first: Summary) -> None:
    lists = pl.read_parquet(Path(first.folder) / "recommendations.parquet")
    check(lists, RECOMMENDATIONS, table="recommendations")
    assert lists[USER].n_unique() == N_USERS
    per_user = lists.group_by(USER).agg(pl.col(RANK).sort(), pl.col(ITEM).n_unique())
    assert per_user[RANK].to_list() == [list(range(1, 21))] * N_USERS
    assert per_user[ITEM].to_list() == [20] * N_USERS
    assert lists[EXPLANATION].str.len_chars().min() > 10
    assert lists[MODEL].unique().to_list() == ["rules"]


def test_no_training_item_is_recommended(first: Summary, place: Path) -> None:
    lists = pl.read_parquet(Path(first.folder) / "recommendations.parquet")
    artifact = next(step.artifact for step in first.steps if step.step == "split")
    for part in ("train", "valid"):
        known = pl.read_parquet(Path(artifact) / f"{part}.parquet")
        assert lists.join(known, on=[USER, ITEM], how="inner").is_empty()


def test_the_metrics_stand_beside_the_baselines(first: Summary) -> None:
    metrics = pl.read_parquet(Path(first.folder) / "metrics.parquet")
    check(metrics, METRICS, table="metrics")
    told = pl.col(PROTOCOL) == EXPLANATIONS
    measured = set(metrics.filter(~told)[METHOD])
    # The probe decides for the graph: what is served is `gat`, and stands once.
    assert measured == {"popularity", "ease", "gat", "gat+prompt-level"} == {*first.headline}
    assert set(metrics.filter(told)[METHOD]) == {"rules"}
    # A planted taste: the model must see it, and no list of 60 items can be perfect.
    assert 0.25 < first.headline["gat"]["ndcg"] < 0.95
    assert first.headline["gat"]["ndcg"] > first.headline["popularity"]["ndcg"]
    assert metrics[VALUE].is_between(-1e-9, 100).all() or metrics[VALUE].null_count() > 0


def test_the_summary_tells_what_happened(first: Summary) -> None:
    names = [step.step for step in first.steps]
    assert names[:4] == ["ingest", "enrich", "split", "test_split"]
    assert {"item_profiles", "user_profiles", "embeddings", "graph", "train", "candidates",
            "rerank", "explain", "baselines", "evaluate"} <= set(names)  # fmt: skip
    assert not any(step.cached for step in first.steps)
    assert first.llm.model_dump() == {
        "model": "rules", "calls": 0, "tokens_in": 0, "tokens_out": 0, "cost_usd": 0.0,
    }  # fmt: skip
    assert "local folder" in first.data_source


@pytest.mark.parametrize("preset", ["best", "paper"])
def test_the_paper_sees_texts_and_best_sees_facts_and_labels_too(
    first: Summary, place: Path, preset: str
) -> None:
    graph = {
        "max_epochs": 2,
        "hidden": 8,
        "heads": 2,
        "effort": "quick",
        "preset": preset,
        "checkpoint_every": 0,
    }
    steps = {one.step: one for one in train(config_for(place, graph=graph))}
    assert steps["embeddings"].cached
    embeddings, trained = (Path(steps[name].artifact) for name in ("embeddings", "train"))
    table = {"best": "item_features", "paper": "items"}[preset]
    width = pl.read_parquet_schema(embeddings / f"{table}.parquet")[VECTOR].shape[0]
    weights = load_file(trained / "weights.safetensors")
    assert weights["item_projection.weight"].shape == (16, width)
    assert weights["user_projection.weight"].shape == (16, 384)


def test_what_is_user_attributes_is_part_of_the_graph_where_there_is_something(
    first: Summary, place: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(place / "data", tmp_path / "data")
    known = pl.DataFrame({USER: [f"u{n:02}" for n in range(40)], "age": range(40)})
    known.write_parquet(data / "users.parquet")
    graph = {"max_epochs": 2, "hidden": 8, "heads": 2, "effort": "quick"}
    with_ages, without = (
        next(Path(one.artifact) for one in steps if one.step == "graph")
        for steps in (train(config_for(tmp_path, graph=graph)), first.steps)
    )
    assert not (without / "user_attributes.parquet").exists()
    vectors = pl.read_parquet(with_ages / "user_attributes.parquet")[VECTOR].to_numpy()
    assert len(vectors) == N_USERS
    assert vectors[:40].any(axis=1).all()
    assert not vectors[40:].any(), "eight users are not in the table"


def test_test_ratings_change_nothing_but_the_measurement(
    first: Summary, place: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(place / "data", tmp_path / "data")
    split = Path(next(one.artifact for one in first.steps if one.step == "test_split"))
    held_out = pl.read_parquet(split / "test.parquet").select(USER, ITEM, pl.lit(1).alias("test"))
    rated = pl.read_parquet(data / "interactions.parquet")
    worse = rated.join(held_out, on=[USER, ITEM], how="left", maintain_order="left").select(
        USER, ITEM,
        pl.when(pl.col("test") == 1).then(11 - pl.col(RATING)).otherwise(RATING).alias(RATING),
        TIMESTAMP,
    )  # fmt: skip
    worse.write_parquet(data / "interactions.parquet")
    other = personalize(config_for(place, run_name="other", data={"source": str(data), **SCALE}))
    redone = {one.step for one in other.steps if not one.cached}
    measures = {"evaluate", "fold_in_check", "plots"}
    assert redone <= {"ingest", "enrich", "split", "test_split", *measures}
    before, after = ({one.step: Path(one.artifact) for one in run.steps} for run in (first, other))
    assert before["split"] != after["split"], "the ratings have another hash"
    for part in ("train", "valid"):
        tables = [pl.read_parquet(one["split"] / f"{part}.parquet") for one in (before, after)]
        assert tables[0].equals(tables[1])
    assert before["train"] == after["train"], "no training step receives a test rating"
    for folder in (before, after):
        assert not pl.read_parquet(folder["test_split"] / "test.parquet").is_empty()
    assert other.headline["gat"]["ndcg"] < first.headline["gat"]["ndcg"]


def test_edited_texts_leave_what_rests_on_ids_and_ratings(
    first: Summary, place: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(place / "data", tmp_path / "data")
    items = pl.read_parquet(data / "items.parquet")
    overview = pl.when(pl.col(ITEM) == "film-05").then(pl.lit("Edited.")).otherwise(OVERVIEW)
    items.with_columns(overview.alias(OVERVIEW)).write_parquet(data / "items.parquet")
    steps = {
        one.step: one.cached
        for one in evaluate(config_for(place, data={"source": str(data), **SCALE}))
    }
    assert not steps["item_profiles"]
    kept = {step for step, cached in steps.items() if cached}
    assert {"split", "test_split", "graph", "baselines"} <= kept


def test_what_a_run_says_of_its_source_is_its_own(
    first: Summary, place: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(place / "data", tmp_path / "moved")
    other = personalize(config_for(place, data={"source": str(data), **SCALE}))
    assert all(one.cached for one in other.steps)
    assert other.data_source == f"local folder {data}" == other.facts["enrich"]["source"]
    assert other.facts["ingest"]["name"] == "moved"
    assert other.run_name.endswith("-moved")


def test_a_second_run_computes_nothing_and_says_the_same(first: Summary, place: Path) -> None:
    second = personalize(config_for(place, run_name="second"))
    assert [step.step for step in second.steps if not step.cached] == []
    assert second.headline == first.headline
    lists = [
        pl.read_parquet(place / "runs" / name / "recommendations.parquet")
        for name in ("first", "second")
    ]
    assert lists[0].equals(lists[1])
    assert (place / "runs" / "latest").resolve().name == "second"


def test_only_what_depends_on_a_parameter_is_redone(first: Summary, place: Path) -> None:
    other = personalize(
        config_for(place, run_name="other", fusion={**EVERYBODY, "llm_weight": 0.5})
    )
    redone = {step.step for step in other.steps if not step.cached}
    # The probe judges its sample by the weights that are tried, or by the one that is given. What
    # is served stays the graph's lists, and so do the measures of its reasons.
    assert redone - {"plots"} == {
        "probe_sample", "probe_decision", "policy", "served_model", "fold_in_check", "fusion",
        "attribute", "explain", "evaluate",
    }  # fmt: skip


@pytest.mark.parametrize("step", ["embeddings", "train", "candidates"])
@pytest.mark.parametrize("harm", ["delete", "truncate", "edit"])
def test_a_damaged_artifact_is_rebuilt_to_the_same_bytes(first, place, step, harm) -> None:
    folder = Path(next(done.artifact for done in first.steps if done.step == step))
    path = sorted(folder.glob("*.parquet"))[0]
    before = path.read_bytes()
    if harm == "delete":
        path.unlink()
    elif harm == "truncate":
        path.write_bytes(before[: len(before) // 2])
    else:
        path.write_bytes(before[:-5] + b"wrong")
    again = personalize(config_for(place, run_name="again"))
    assert [done.step for done in again.steps if not done.cached] == [step]
    assert path.read_bytes() == before


def test_refit_serves_other_lists_and_keeps_the_metrics(first: Summary, place: Path) -> None:
    served = personalize(config_for(place, run_name="refit", refit=True))
    assert served.headline == first.headline
    lists = pl.read_parquet(Path(served.folder) / "recommendations.parquet")
    known = pl.read_parquet(place / "data" / "interactions.parquet")
    assert lists.join(known, on=[USER, ITEM], how="inner").is_empty()
    assert lists.group_by(USER).len()["len"].max() <= N_ITEMS


def test_the_console_says_all_that_matters(first: Summary) -> None:
    printed = Console(width=160, record=True, file=io.StringIO())
    console.show(first, printed)
    text = printed.export_text()
    for expected in (
        first.folder,
        "Top 5 of user",
        "gat+prompt-level",
        "popularity",
        "0 calls",
        "$0",
    ):
        assert expected in text


def test_a_dry_run_says_what_it_would_cost_and_asks_nothing(place, caplog, capsys) -> None:
    model = {"llm.model": "openai/gpt-4.1-mini"}
    assert main([*arguments(place, place / "data", **model), "--dry_run"]) == 0
    said = caplog.text
    assert f"item_profile: {N_ITEMS} new calls, 0 cached" in said
    # Three looks at the twenty candidates of each user, and of the validation sample.
    assert f"prompt_level: {2 * 3 * N_USERS:,} new calls" in said
    assert "dollars" in said
    assert list((place / "artifacts").glob("llm.sqlite")) == []
    assert "Outputs" not in capsys.readouterr().out


def arguments(place: Path, source: Path, **more: str) -> list[str]:
    given = {
        "data.source": str(source), "data.rating_min": "1", "data.rating_max": "10",
        "artifact_root": str(place / "artifacts"), "runs_root": str(place / "runs"),
        "graph.max_epochs": "20", **more,
    }  # fmt: skip
    return [f"--{name}={value}" for name, value in given.items()]


def broken(place: Path, what: str) -> Path:
    source = place / f"broken-{what}"
    shutil.copytree(place / "data", source, dirs_exist_ok=True)
    path = source / "interactions.parquet"
    frame = pl.read_parquet(path)
    rating = frame.columns[2]
    changes = {
        "column": lambda: frame.drop(USER),
        "empty": frame.clear,
        "nan": lambda: frame.with_columns(pl.lit(float("nan")).alias(rating)),
        "scale": lambda: frame.with_columns(pl.lit(77.0).alias(rating)),
        "unknown": lambda: frame.with_columns(pl.lit("no-such-film").alias(ITEM)).unique([USER]),
    }
    if what == "garbage":
        path.write_bytes(b"this is not parquet")
    elif what == "missing":
        path.unlink()
    else:
        changes[what]().write_parquet(path)
    return source


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("column", "user_id"), ("empty", "empty"), ("nan", "NaN"),
        ("scale", "77"), ("unknown", "no-such-film"), ("garbage", "interactions.parquet"),
        ("missing", "has no interactions"),
    ],
)  # fmt: skip
def test_bad_data_is_one_clear_message(place, capsys, what, says) -> None:
    status = main(arguments(place, broken(place, what)))
    message = capsys.readouterr().err
    assert status == 2
    assert says in message
    assert "Expected" in message or "To fix it" in message
    assert "Traceback" not in message


def test_a_wrong_parameter_is_one_clear_message(place, capsys) -> None:
    status = main(arguments(place, place / "data", **{"split.fold": "9"}))
    assert status == 2
    assert "split.fold" in capsys.readouterr().err


@pytest.mark.parametrize("root", ["artifact_root", "runs_root"])
def test_a_root_that_cannot_be_written_is_one_clear_message(place, capsys, root) -> None:
    (place / "occupied").write_text("a file where a folder should be")
    where = str(place / "occupied" / "below")
    status = main(arguments(place, place / "data", **{root: where}))
    message = capsys.readouterr().err
    assert status == 1
    assert "Cannot write" in message
    assert "Traceback" not in message


@pytest.mark.slow
def test_ctrl_c_leaves_whole_artifacts_and_the_next_run_goes_on(place: Path) -> None:
    root = place / "interrupted"
    command = [sys.executable, "-m", "flows.personalize"]
    command += arguments(
        place, place / "data", artifact_root=str(root), **{"graph.max_epochs": "400"}
    )
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 200
    while not list(root.glob("user_profiles/*/manifest.json")):
        assert time.monotonic() < deadline, process.poll()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    assert process.returncode in (130, -signal.SIGINT), said  # a shell calls either 130
    assert "Interrupted" in said
    assert list(root.rglob("*.tmp")) == []
    manifests = list(root.rglob("manifest.json"))
    assert manifests
    for manifest in manifests:
        for name in json.loads(manifest.read_text())["files"]:
            assert (manifest.parent / name).exists()


def test_a_run_that_refits_goes_on_from_the_last_one_in_both_passes(
    place: Path, tmp_path: Path, prefect_server: None
) -> None:
    data = shutil.copytree(place / "data", tmp_path / "data")
    given = {
        "data": {"source": str(data), **SCALE}, "artifact_root": str(tmp_path / "artifacts"),
        "runs_root": str(tmp_path / "runs"), "refit": True,
    }  # fmt: skip
    first = personalize(config_for(tmp_path, run_name="monday", **given))
    rated = pl.read_parquet(data / "interactions.parquet")
    rated.slice(1).write_parquet(data / "interactions.parquet")
    again = personalize(config_for(tmp_path, run_name="tuesday", **given))
    models = [read_manifest(one.artifact) for one in again.steps if one.step == "train"]
    before = [read_manifest(one.artifact) for one in first.steps if one.step == "train"]
    assert [one.facts["went_on_from"] for one in models] == ["monday", "monday"]
    assert [one.facts["choice"] for one in models] == [one.facts["choice"] for one in before]
    assert [one.facts["epochs"] for one in models] == [0, 0], "one row of hundreds is no epoch yet"
    assert all(one.facts["epochs_owed"] > 0 for one in models)
    assert again.facts["train"]["warm_start_of_refit"] == "used: monday"
    assert first.since_last is None
    assert again.since_last is not None
    assert again.since_last.run == "monday"
    off = {**given, "graph": {**GRAPH, "warm_start": False}, "candidates": {"keep_margin": 0}}
    anew = personalize(config_for(tmp_path, run_name="wednesday", **off))
    assert "switched off" in anew.changes[0]


def test_a_run_to_go_on_from_may_be_named(first: Summary, place: Path) -> None:
    graph = {**GRAPH, "warm_start_from": "first"}
    named = personalize(config_for(place, run_name="named", graph=graph))
    # The same data: nothing has changed since, and the model is taken as it is.
    model = next(read_manifest(one.artifact) for one in named.steps if one.step == "train")
    assert model.facts["went_on_from"] == "first"
    assert named.headline["gat"] == first.headline["gat"]
