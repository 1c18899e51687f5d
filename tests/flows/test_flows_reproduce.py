"""The reproduction on a small data set: folds and methods as artifacts, one page, resumed."""

import json
import logging
from pathlib import Path

import polars as pl
import pytest

from flows.reproduce_paper import main, reproduce_paper
from recsys_core.columns import (
    COLD,
    COMPARISONS,
    FOLD,
    ITEM,
    METHOD,
    METRIC,
    PROTOCOL,
    RANK,
    REPRODUCTION,
    TABLE_1,
    TIMESTAMP,
    USER,
    USERS,
    K,
    check,
)
from recsys_core.config import ReproduceConfig, load_config
from recsys_core.config.reproduction_methods import VARIANTS
from recsys_core.errors import ConfigError
from recsys_core.report.reproduction_page import Reproduction, as_text, render
from tests.small_data import N_ITEMS, N_USERS, SCALE, write_small

pytestmark = pytest.mark.usefixtures("prefect_server")

METHODS = ("popularity", "ease", "gat_best")
SMALL = {"max_epochs": 10, "hidden": 8, "heads": 2, "effort": "quick"}


def config_for(tmp: Path, **overrides: object) -> ReproduceConfig:
    given = {
        "data": {"source": str(tmp / "data"), **SCALE},
        "folds": [1, 2],
        "cold_seeds": [],
        "methods": METHODS,
        "best": SMALL,
        "paper": SMALL,
        "evaluation": {"bootstrap": 20, "cutoffs": [1, 5, 10], "cold_below": 13},
        "paper_folder": str(tmp / "paper"),
        "artifact_root": str(tmp / "artifacts"),
        "runs_root": str(tmp / "runs"),
    }
    return load_config(None, given | overrides, ReproduceConfig)


def write_paper(folder: Path) -> None:
    """A folder like the authors': one list of three items per user, and a table of one row."""
    (folder / "recommendations").mkdir(parents=True)
    users = [f"u{n:02}" for n in range(N_USERS)]
    lists = pl.DataFrame(
        [(user, f"film-{(n * 7 + rank) % N_ITEMS:02}", rank) for n, user in enumerate(users)
         for rank in (1, 2, 3)],
        schema={USER: pl.String, ITEM: pl.String, RANK: pl.Int64}, orient="row",
    )  # fmt: skip
    lists.write_parquet(folder / "recommendations" / "als.parquet")
    (folder / "table1.csv").write_text("method,precision,recall,ndcg,map\nals,0.5,0.1,0.2,0.3\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("reproduction")
    write_small(tmp / "data")
    write_paper(tmp / "paper")
    return tmp


@pytest.fixture(scope="module")
def first(place: Path, prefect_server: None) -> Reproduction:
    return reproduce_paper(config_for(place))


def test_every_fold_has_every_method_under_every_protocol(first: Reproduction) -> None:
    check(first.metrics, REPRODUCTION, table="reproduction")
    ours = first.metrics.filter(pl.col(METHOD).is_in(METHODS))
    counts = ours.group_by(FOLD, METHOD).agg(pl.col(PROTOCOL).unique().sort(), pl.col(K).unique())
    assert counts.height == 2 * len(METHODS)
    names = ["condensed", "condensed/cold<13", "full", "full/cold<13"]
    assert counts[PROTOCOL].to_list() == [names] * counts.height
    assert {tuple(sorted(one)) for one in counts[K]} == {(1, 5, 10)}


def test_published_lists_are_measured_on_the_first_fold_alone(first: Reproduction) -> None:
    published = first.metrics.filter(pl.col(METHOD) == "published:als")
    assert published[FOLD].unique().to_list() == [1]


def test_everybody_is_compared_with_the_reference_and_counts_once(first: Reproduction) -> None:
    table = first.comparisons["data"]
    assert set(table[METHOD]) == {*METHODS, "published:als"} - {"gat_best"}
    ndcg = first.metrics.filter(
        (pl.col(METHOD) == "ease") & (pl.col(PROTOCOL) == "full") & (pl.col(METRIC) == "ndcg")
    )
    of_folds = ndcg.filter(pl.col(K) == 10)[USERS]
    everybody = table.filter(pl.col(METHOD) == "ease")[USERS].item()
    assert of_folds.max() <= everybody <= min(of_folds.sum(), N_USERS)
    assert first.ablations == [], "no variant was run"


def test_a_split_by_time_shows_known_and_new_users_apart(tmp_path: Path) -> None:
    path = write_small(tmp_path / "data") / "interactions.parquet"
    rows = pl.read_parquet(path)
    late = pl.col(USER) >= "u40"  # the last eight users come after the moment
    days = pl.when(late).then(900).otherwise(pl.int_range(pl.len())) * 86_400 + 10**9
    rows.with_columns(days.alias(TIMESTAMP)).write_parquet(path)
    split = {"kind": "time", "moment": str(10**9 + 600 * 86_400)}
    methods = ["popularity", "popularity_lately", "ease"]
    config = config_for(tmp_path, folds=[1], methods=methods, reference="ease", split=split)
    done = reproduce_paper(config)
    ndcg = done.metrics.filter((pl.col(METRIC) == "ndcg") & (pl.col(K) == 10))
    users = {row[PROTOCOL]: row[USERS] for row in ndcg.filter(pl.col(METHOD) == "ease").to_dicts()}
    assert users["full/new"] == 8
    assert users["full/new"] + users["full/warm"] == users["full"]
    page = render(done)
    assert page.count("popularity_lately") > 1
    for protocol in ("full/warm", "full/new"):
        assert protocol in page


def test_the_cold_start_is_measured_on_the_seeds_that_are_asked_for(place: Path) -> None:
    methods = ["popularity", "gat_best"]
    config = config_for(place, folds=[1], methods=methods, cold_seeds=[0], run_name="cold")
    done = reproduce_paper(config)
    check(done.cold, COLD, table="cold start")
    found = done.cold.group_by(PROTOCOL).agg(pl.col(METHOD).sort())
    of_users = sorted(methods)
    assert dict(found.iter_rows()) == {
        **{f"cold_user({n})": of_users for n in (0, 1, 3, 5, 9)},
        "cold_item": ["gat_best", "text_popularity", "text_ridge"],
    }
    others = done.cold.filter(pl.col(METHOD) != "gat_best")
    assert others["p_adjusted"].null_count() == 0, "all are compared with the reference"
    assert done.cold["value"].is_between(0, 1).all()
    page = render(done)
    assert '<th scope="col">cold_user(9)</th>' in page
    assert "| method | cold_user(0) |" in as_text(done)
    steps = [one for one in done.steps if one.step == "cold_start"]
    assert len(steps) == len(methods) + 3


def test_table_1_stands_beside_the_papers_values(first: Reproduction) -> None:
    check(first.table_1, TABLE_1, table="table 1")
    row = first.table_1.row(0, named=True)
    assert (row[METHOD], row["metric"], row["paper"]) == ("als", "precision", 0.5)
    assert row["published"] is not None
    assert row["ours"] is None, "als was not run"


def test_the_folder_holds_tables_and_a_page_that_loads_nothing(
    first: Reproduction, place: Path
) -> None:
    folder = place / "runs" / "reproduction"
    assert not (place / "runs" / "latest").exists(), "latest leads to runs with lists"
    assert pl.read_parquet(folder / "reproduction.parquet").equals(first.metrics)
    tests = pl.read_parquet(folder / "comparisons.parquet")
    check(tests, COMPARISONS, table="comparisons")
    assert tests.height == len(METHODS), "the others and the published list"
    page = (folder / "reproduction.html").read_text("utf-8")
    assert page == render(first)
    assert page.count("<figure>") == 8, "four metrics under two protocols"
    bare = page.replace("http://www.w3.org/", "")  # names of SVG, not places
    assert not any(word in bare for word in ("<script", "http://", "https://", "src="))
    summary = json.loads((folder / "summary.json").read_text())
    chosen = {(fold, method) for _, fold, method, _ in summary["choices"]}
    assert chosen == {(fold, method) for fold in (1, 2) for method in METHODS}


def test_another_run_redoes_only_what_is_new(first: Reproduction, place: Path) -> None:
    more = [*METHODS, "item_knn", "gat_best_relevancy", "gat_best_prompt_level"]
    again = reproduce_paper(config_for(place, methods=more, folds=[1], run_name="more"))
    fresh = [one.step for one in again.steps if not one.cached]
    assert "train" not in fresh, "reranked lists need no model of their own"
    assert fresh.count("baseline") == 1
    assert fresh.count("measured") == 3
    assert fresh.count("rerank") == 2
    kept = again.metrics.filter(~pl.col(METHOD).is_in(more[len(METHODS) :]))
    assert kept.equals(first.metrics.filter(pl.col(FOLD) == 1))
    found = [(one.variant, one.base) for one in again.ablations]
    assert set(found) == {(name, "gat_best") for name in more[-2:]}
    assert [one.reranking.strategy for one in again.strategies] == ["prompt-level", "relevancy"]
    assert all(set(one.changes) == {"full", "condensed"} for one in again.strategies)
    assert not any(one.costs for one in again.strategies), "rules cost nothing"
    assert any("Rules judged for all strategies" in note for note in again.notes)
    assert any("no choice has seen" in note for note in again.notes)
    page = render(again)
    assert "Lists of <bdi>gat_best</bdi>, reranked" in page
    assert page.count("<figure>") == 16, "Figures 2 and 3"
    assert "| gat_best | relevancy |" in as_text(again)


def test_authors_profiles_go_with_their_own_fold_and_data(place: Path, tmp_path: Path) -> None:
    for name in ("item_profiles.parquet", "user_profiles.parquet"):
        (tmp_path / name).touch()
    config = config_for(place, paper_folder=str(tmp_path))
    first, second = (config.run(config.data, fold) for fold in (1, 2))
    large = config.run(config.large_data, 1)
    assert first.user_profiles.file == str(tmp_path / "user_profiles.parquet")
    assert second.user_profiles.file is None
    of_items = [one.item_profiles.file for one in (first, second)]
    assert of_items == [str(tmp_path / "item_profiles.parquet")] * 2
    assert (large.item_profiles.file, large.user_profiles.file) == (None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"folds": [6]},
        {"folds": []},
        {"folds": [1, 1]},
        {"cold_seeds": [-1]},
        {"methods": ["oracle"]},
        {"methods": []},
    ],
)
def test_wrong_choices_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        config_for(tmp_path, **wrong)


def test_reranked_variants_rest_on_profiles_as_the_pipeline_does() -> None:
    bases = {one.base for one in VARIANTS.values() if one.base is not None}
    assert bases
    assert {VARIANTS[base].text for base in bases} == {"unified"}
    assert {VARIANTS[base].base for base in bases} == {None}


def test_sections_of_the_paper_preset_keep_it() -> None:
    config = load_config(None, {"paper": {"max_epochs": 7}}, ReproduceConfig)
    assert (config.paper.preset, config.paper.layers, config.paper.max_epochs) == ("paper", 3, 7)
    assert config.best.preset == "best"


def test_a_broken_list_of_the_authors_is_one_message(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recommendations"
    folder.mkdir()
    (folder / "als.parquet").write_bytes(b"not Parquet")
    arguments = ["--data.source", str(place / "data"), "--data.rating_max", "10", "--folds", "1"]
    arguments += ["--methods", "popularity", "--paper_folder", str(tmp_path)]
    arguments += ["--artifact_root", str(tmp_path / "artifacts")]
    logger = logging.getLogger("prefect")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        status = main([*arguments, "--runs_root", str(tmp_path / "runs")])
    finally:
        logger.setLevel(level)
    assert status == 2
    assert "als.parquet cannot be read" in capsys.readouterr().err
