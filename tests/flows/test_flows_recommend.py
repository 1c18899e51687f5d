"""Flow `recommend` and the questions that its command line answers by itself."""

import json

import polars as pl
import pytest

from flows.command_line import trial
from flows.recommend import recommend
from recsys_core.columns import EXPLANATION, ITEM, RANK, RECOMMENDATIONS, USER
from recsys_core.errors import ConfigError, DataError
from recsys_core.serving import recommend as by_library
from recsys_core.serving import visitors_of
from recsys_core.serving.request import RecommendConfig, wanted_users
from tests.served_world import model, run, world

ROWS = "user_id,item_id,rating\nnew,film-00,9\nnew,film-04,10\nu01,film-20,1\nnew,nothing,9\n"


@pytest.fixture
def place(tmp_path):
    """Arguments that name a run of the world, and a folder for outputs."""
    _, uri = world()
    run(tmp_path / "runs", "trained", uri)
    (tmp_path / "new.csv").write_text(ROWS)
    return {
        "run": "trained", "runs_root": str(tmp_path / "runs"),
        "artifact_root": str(tmp_path / "artifacts"),
    }  # fmt: skip


@pytest.mark.usefixtures("prefect_server")
def test_lists_of_a_file_are_those_of_the_library(place, tmp_path):
    (tmp_path / "no.csv").write_text("item_id\nfilm-08\n")
    config = RecommendConfig(
        **place, interactions=str(tmp_path / "new.csv"), users="u05", run_name="lists", k=6,
        exclude=str(tmp_path / "no.csv"),
    )  # fmt: skip
    made = recommend(config)
    assert made.statuses == {"known": 1, "folded in": 2}
    assert any("1 ratings are of items that the model does not know" in one for one in made.notes)
    assert made.drift.came == 3, "new pairs, those of unknown items left out"
    assert "no need to retrain yet" in made.notes[-1]
    folder = tmp_path / "runs" / "lists"
    assert not (tmp_path / "runs" / "latest").exists(), "the last run that trained stays it"
    lists = pl.read_parquet(folder / "recommendations.parquet")
    assert set(RECOMMENDATIONS) == set(lists.columns)
    served = model()
    rated = pl.read_csv(tmp_path / "new.csv").with_columns(pl.lit(None).alias("timestamp"))
    barred = (served.items[ITEM] == "film-08").to_numpy()
    visitors = visitors_of(served, pl.Series(USER, ["u05"]), rated)
    expected = by_library(served, visitors, k=6, barred=barred).recommendations
    order = [USER, RANK]
    assert lists.sort(order)[ITEM].to_list() == expected.sort(order)[ITEM].to_list()
    assert lists.sort(order)[EXPLANATION].to_list() == expected.sort(order)[EXPLANATION].to_list()
    users = pl.read_parquet(folder / "users.parquet")
    assert dict(users.select(USER, "unknown_ratings").iter_rows()) == {"u05": 0, "new": 1, "u01": 0}


def test_a_history_is_answered_on_the_command_line(place):
    history = json.dumps([{"title": "Noir Story No. 0", "rating": 10}])
    lines = trial.lines_of(RecommendConfig(**place, history=history, k=3))
    assert lines[0] == "For somebody who rated:"
    assert "Noir Story No. 0: 10" in lines[1]
    assert [line.strip()[:2] for line in lines[3:]] == ["1.", "2.", "3."]
    lines = trial.lines_of(RecommendConfig(**place, history="[]", k=2))
    assert "nothing known" in lines[1]
    lines = trial.lines_of(RecommendConfig(**place, similar_to="Noir Story No. 0", k=4))
    assert len(lines) == 5
    with pytest.raises(DataError, match="may be any of 15 titles"):
        trial.lines_of(RecommendConfig(**place, similar_to="Noir Story"))
    for wrong in ("{", '{"title": 1}', "[1]"):
        with pytest.raises(ConfigError, match="The history cannot be read"):
            trial.lines_of(RecommendConfig(**place, history=wrong))


def test_a_request_asks_for_one_thing(tmp_path):
    with pytest.raises(ConfigError, match="Nobody is named"):
        RecommendConfig().check_asked()
    with pytest.raises(ConfigError, match="history and users are two questions"):
        RecommendConfig(history="[]", users="1").check_asked()
    (tmp_path / "ids").write_text("7\n 8 \n\n")
    assert wanted_users(f"@{tmp_path}/ids").to_list() == ["7", "8"]
    assert wanted_users("1, 2").to_list() == ["1", "2"]
    with pytest.raises(DataError, match="names no user"):
        wanted_users(" , ")
    with pytest.raises(DataError, match="cannot be read"):
        wanted_users("@nowhere")
