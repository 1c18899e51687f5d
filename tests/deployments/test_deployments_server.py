"""The deployments on a real server: a run from the form, a changed item, CI, and things killed."""

import json
import time
from functools import partial
from pathlib import Path

import httpx
import polars as pl
import pytest
import yaml

from recsys_core.columns import ITEM, TITLE
from tests.deployments.conftest import config_of
from tests.local_server import LocalServer, wait_for

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]
PERSONALIZE, WATCH = "personalize/personalize", "watch-metadata/watch-metadata"


def test_the_run_leaves_its_artifacts(deployed: LocalServer, first: str) -> None:
    chosen = {"artifacts": {"flow_run_id": {"any_": [first]}}}
    found = {one["key"]: one for one in deployed.post("/artifacts/filter", chosen)}
    assert {"run", "headline-metrics", "recommendations", "cost", "report"} <= set(found)
    assert {"plot-ndcg", "plot-training-loss", "graph-training", "rerank"} <= set(found)
    assert found["plot-ndcg"]["type"] == "image"
    assert json.loads(found["headline-metrics"]["data"])[0]["ndcg"] > 0


def test_the_form_says_nothing_of_places_which_are_the_workers(deployed, first) -> None:
    config = deployed.deployment(PERSONALIZE)["parameter_openapi_schema"]["properties"]["config"]
    assert config["default"] == {}
    assert not {"artifact_root", "runs_root"} & set(config["properties"])
    assert (deployed.runs / "latest" / "report.html").exists()


def test_nothing_runs_by_itself_and_what_was_changed_stays(deployed: LocalServer) -> None:
    there = deployed.deployment(PERSONALIZE)
    assert [one["active"] for one in there["schedules"]] == [False]
    config = {"config": {"seed": 7}}
    httpx.patch(
        f"{deployed.url}/deployments/{there['id']}", json={"parameters": config}, timeout=60
    ).raise_for_status()
    schedule = there["schedules"][0]["id"]
    httpx.patch(
        f"{deployed.url}/deployments/{there['id']}/schedules/{schedule}",
        json={"active": True, "schedule": {"cron": "0 4 * * *", "timezone": "UTC"}}, timeout=60,
    ).raise_for_status()  # fmt: skip
    done = deployed.call("deployments.setup")
    assert done.returncode == 0, done.stderr
    assert "personalize: parameters stay as on the server" in done.stdout
    there = deployed.deployment(PERSONALIZE)
    assert there["parameters"] == config
    (kept,) = there["schedules"]
    assert (kept["active"], kept["schedule"]["cron"]) == (True, "0 4 * * *")
    assert deployed.call("deployments.setup", "--reset").returncode == 0
    there = deployed.deployment(PERSONALIZE)
    assert there["parameters"] == {}
    (reset,) = there["schedules"]
    assert (reset["active"], reset["schedule"]["cron"]) == (False, "0 3 * * *")


def test_a_data_set_of_ones_own_is_one_file_and_one_command(deployed, small, tmp_path) -> None:
    config = {"data": {"source": str(small), "rating_max": 10}}
    site = tmp_path / "site.yaml"
    site.write_text(yaml.safe_dump({"data_sets": {"small": {"config": config, "watch": None}}}))
    done = deployed.call("deployments.setup", "--site", str(site))
    assert done.returncode == 0, done.stdout + done.stderr
    there = deployed.deployment("personalize/personalize-small")
    assert there["parameters"] == {"config": config}
    assert [one["active"] for one in there["schedules"]] == [False]
    assert deployed.deployment("watch-metadata/watch-small")["schedules"] == []
    found = deployed.post("/automations/filter", {})
    (mine,) = (one for one in found if "of small" in one["name"])
    assert mine["trigger"]["match"]["prefect.resource.name"] == str(small)
    assert deployed.call("deployments.setup", "--reset").returncode == 0, "back to what is shipped"
    for flow in ("personalize/personalize", "watch-metadata/watch"):
        place = f"{deployed.url}/deployments/{deployed.deployment(f'{flow}-small')['id']}"
        # SQLite may be locked by what the setup has just written.
        wait_for(partial(deleted, place), 60, "the end of the deployment")


def deleted(place: str) -> bool:
    return httpx.delete(place, timeout=60).is_success


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"seed": -1}, "config.seed"),
        ({"llm": {"temperature": 9}}, "config.llm.temperature"),
        ({"rerank": {"strategy": "magic"}}, "config.rerank.strategy"),
        ({"graf": {}}, "'graf' was unexpected"),
    ],
)
def test_a_wrong_value_is_refused_at_the_trigger(deployed, wrong, field) -> None:
    answer = deployed.trigger(PERSONALIZE, {"config": wrong})
    assert answer.status_code == 409
    assert field in answer.json()["detail"]


def test_three_edited_items_start_a_run(deployed: LocalServer, first: str, small: Path) -> None:
    """And two changes at once do not race: one run at a time, the last one sees both."""
    before = deployed.runs_of(PERSONALIZE)
    edited = edit(small, [0, 1, 2], "Renamed")
    watch = deployed.run_id(WATCH, {"config": config_of(small)})
    assert deployed.end_of(watch)["name"] == "Completed"
    edit(small, [3], "Renamed, too")  # while the first change is under way
    watch = deployed.run_id(WATCH, {"config": config_of(small)})
    assert deployed.end_of(watch)["name"] == "Completed"

    wait_for(lambda: len(deployed.runs_of(PERSONALIZE)) == len(before) + 2, 60, "two runs")
    started = deployed.runs_of(PERSONALIZE)[-2:]
    states = [deployed.end_of(one["id"]) for one in started]
    assert [one["name"] for one in states] == ["Completed"] * 2, states
    one, two = (deployed.get(f"/flow_runs/{one['id']}") for one in started)
    assert max(one["start_time"], two["start_time"]) >= min(one["end_time"], two["end_time"])

    event = events(deployed)
    assert sorted(event["changed"]) == [f"film-{n:02}" for n in range(3)]
    lists = pl.read_parquet(deployed.runs / "latest" / "recommendations.parquet")
    shown = dict(lists.select(ITEM, TITLE).iter_rows())
    titles = {**edited, "film-03": "Renamed, too 3"}
    assert {item: shown[item] for item in titles if item in shown} == {
        item: title for item, title in titles.items() if item in shown
    }
    assert set(titles) & set(shown), "at least one of the edited items is recommended"

    watch = deployed.run_id(WATCH, {"config": config_of(small)})
    deployed.end_of(watch)
    time.sleep(3)
    assert len(deployed.runs_of(PERSONALIZE)) == len(before) + 2, "nothing is left to announce"


def edit(folder: Path, numbers: list[int], title: str) -> dict[str, str]:
    """Give some items another title; id -> title."""
    path = folder / "items.parquet"
    items = pl.read_parquet(path)
    titles = {f"film-{n:02}": f"{title} {n}" for n in numbers}
    changed = pl.col(ITEM).replace_strict(titles, default=pl.col(TITLE), return_dtype=pl.String)
    items.with_columns(changed.alias(TITLE)).write_parquet(path)
    return titles


def events(server: LocalServer) -> dict:
    """Payload of the first `recsys.metadata.changed`."""
    chosen = {"filter": {"event": {"name": ["recsys.metadata.changed"]}, "order": "ASC"}}
    wait_for(lambda: server.post("/events/filter", chosen)["total"] > 0, 30, "the event")
    return server.post("/events/filter", chosen)["events"][0]["payload"]
