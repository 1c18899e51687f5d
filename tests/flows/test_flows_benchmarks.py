"""Several data sets on one page: two small ones, the literature's figures, seeds, bad files."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from flows.benchmarks import main
from recsys_core.config.benchmarks import read_studies
from tests.small_data import SCALE, write_small

SETTINGS = {
    "data": dict(SCALE),
    "folds": [1],
    "cold_seeds": [],
    "methods": ["popularity", "ease", "gat_best", "gat_best_no_order"],
    "best": {"max_epochs": 4, "hidden": 8, "heads": 2, "effort": "quick"},
    "evaluation": {"bootstrap": 20, "cutoffs": [5, 10], "cold_below": 13},
}
FIGURE = {"method": "A <b>model</b>", "values": {"NDCG@10": 0.9}, "source": "Somebody, 2024"}


def write_studies(place: Path, *changes: dict[str, object]) -> str:
    study = {"folder": "shop", "measures": ["Recall@5", "NDCG@10"], "settings": SETTINGS}
    file = place / "studies.yaml"
    file.write_text(yaml.safe_dump({"studies": [study | one for one in changes]}))
    return str(file)


def arguments(place: Path, studies: str, *more: str) -> list[str]:
    roots = ["--runs-root", str(place / "runs"), "--data-root", str(place)]
    return ["--studies", studies, *roots, *more]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("benchmarks")
    write_small(tmp / "shop")
    return tmp


@pytest.mark.usefixtures("prefect_server")
def test_one_page_has_every_data_set_beside_published_figures(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECSYS_ARTIFACTS", str(place / "artifacts"))
    blind = {"methods": ["popularity", "gat_best_no_order"], "reference": "gat_best_no_order"}
    other = {"name": "again", "settings": SETTINGS | blind}
    studies = write_studies(place, {"name": "The shop", "published": [FIGURE]}, other)
    assert main(arguments(place, studies, "--seeds", "0,1")) == 0
    folder = place / "runs" / "benchmarks"
    table = pl.read_parquet(folder / "benchmarks.parquet")
    shop = table.filter(pl.col("study") == "The shop")
    assert set(shop["method"]) == {*SETTINGS["methods"], "A <b>model</b>"}
    assert shop.filter(pl.col("source").is_not_null())["value"].to_list() == [0.9]
    runs = ("benchmarks-the-shop", "benchmarks-the-shop-seed-1")
    of_seeds = pl.concat(
        pl.read_parquet(place / "runs" / name / "reproduction.parquet") for name in runs
    ).filter(
        (pl.col("method") == "gat_best") & (pl.col("metric") == "ndcg") & (pl.col("k") == 10)
        & (pl.col("protocol") == "full")
    )["value"]  # fmt: skip
    ours = shop.filter((pl.col("method") == "gat_best") & (pl.col("measure") == "NDCG@10"))
    assert len(of_seeds) == 2
    again = json.loads((place / "runs" / runs[1] / "summary.json").read_text())["config"]
    assert (again["seed"], again["split"]["seed"]) == (1, 0), "the same test interactions"
    assert ours["value"].item() == pytest.approx(of_seeds.mean())
    assert ours["ci_low"].item() <= ours["value"].item() <= ours["ci_high"].item()
    page = (folder / "benchmarks.html").read_text()
    assert "A &lt;b&gt;model&lt;/b&gt;" in page
    assert "Somebody, 2024" in page
    assert page.count('<section id="study-') == 2
    assert "A <b>model</b> (published)" in capsys.readouterr().out
    again = (place / "runs" / "benchmarks-again" / "reproduction.html").read_text()
    figure = again.partition('id="figure-1"')[2].partition("</section>")[0]
    assert "gat_best_no_order" in figure, "the reference is drawn, too"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measures": ["NDCG"]}, "no measure such as `NDCG@10`"),
        ({"measures": ["Recall@5"], "published": [FIGURE]}, "NDCG@10 is no measure of it"),
        ({"folder": None}, "needs either `source` or `folder`"),
        ({"folder": "nowhere"}, "Data are not there"),
        ({"settings": {"method": ["ease"]}}, "Study 'The shop'"),
    ],
)
def test_a_wrong_study_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change, said
) -> None:
    (tmp_path / "shop").mkdir()
    assert main(arguments(tmp_path, write_studies(tmp_path, {"name": "The shop"} | change))) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [(["--seeds", "0,x"], "no list of"), (["--only", "The shops"], "no study 'The shops'")],
)
def test_wrong_options(tmp_path: Path, capsys: pytest.CaptureFixture[str], more, said) -> None:
    (tmp_path / "shop").mkdir()
    studies = write_studies(tmp_path, {"name": "The shop"})
    assert main(arguments(tmp_path, studies, *more)) == 2
    assert said in capsys.readouterr().err


def test_the_studies_of_the_project_are_parameters_of_the_reproduction(tmp_path: Path) -> None:
    for study in read_studies(None):
        config = study.config(str(tmp_path))
        assert config.reference in config.methods, study.name
        assert {one.k for one in study.measures} <= set(config.evaluation.cutoffs), study.name
        assert all(one.source for one in study.published)


def test_what_can_be_downloaded_is_taken_from_a_folder_of_its_name(tmp_path: Path) -> None:
    (study,) = (one for one in read_studies(None) if one.source == "ml-1m")
    assert study.config(str(tmp_path)).data.source == "ml-1m"
    (tmp_path / "ml-1m").mkdir()
    assert study.config(str(tmp_path)).data.source == str(tmp_path / "ml-1m")
    assert study.config(None).data.source == "ml-1m"
