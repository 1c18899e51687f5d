"""New ratings and users: announced once, with a file of just these users' ratings."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys_core.columns import INTERACTIONS, ITEM, RATING, TIMESTAMP, USER
from recsys_core.config import RunConfig
from recsys_core.serving.request import RecommendConfig
from tasks import arrived as module
from tasks.arrived import arrived
from tests.small_data import write_small


class Data:
    """An ingested data set, as far as it is looked at here."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows

    def table(self, _: str) -> pl.DataFrame:
        return self.rows


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was emitted."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(module, "emit_event", lambda **event: found.append(event))
    return found


@pytest.fixture
def rows(tmp_path: Path) -> pl.DataFrame:
    found = pl.read_parquet(write_small(tmp_path / "data") / "interactions.parquet")
    return found.select(USER, ITEM, pl.col(RATING).cast(pl.Float32), TIMESTAMP)


def test_the_first_look_announces_nobody(tmp_path: Path, rows, events) -> None:
    config = RunConfig(artifact_root=str(tmp_path / "a"))
    assert len(arrived.fn(config, Data(rows))) == 0
    assert len(arrived.fn(config, Data(rows.sample(fraction=1, shuffle=True, seed=1)))) == 0
    assert events == [], "the order of rows is no news"


def test_who_came_and_who_came_back_are_announced_once(tmp_path: Path, rows, events) -> None:
    config = RunConfig(artifact_root=str(tmp_path / "a"), runs_root=str(tmp_path / "r"))
    arrived.fn(config, Data(rows))
    known = set(rows.filter(pl.col(USER) == "u01")[ITEM])
    fresh = sorted(set(rows[ITEM]) - known)[:2]
    more = pl.DataFrame(
        {USER: ["new", "u01", "u01"], ITEM: [fresh[0], *fresh], RATING: [9.0, 9.0, 2.0],
         TIMESTAMP: [None] * 3},
        schema=rows.schema,
    )  # fmt: skip
    now = pl.concat([rows, more])
    came = arrived.fn(config, Data(now))
    assert (came.new, came.returned, came.ratings) == (["new"], ["u01"], 3)
    assert len(arrived.fn(config, Data(now))) == 0
    (event,) = events
    assert event["event"] == "recsys.interactions.arrived"
    assert event["resource"]["prefect.resource.id"].startswith("recsys.interactions.")
    assert event["payload"]["counts"] == {"new": 1, "returned": 1, "ratings": 3}
    asked = RecommendConfig.model_validate(event["payload"]["config"])
    asked.check_asked()
    assert set(event["payload"]["config"]) == {
        "interactions", "ratings_now", "artifact_root", "runs_root"
    }  # fmt: skip
    assert (asked.run, asked.runs_root) == ("served", str(tmp_path / "r"))
    kept = pl.read_parquet(asked.interactions)
    assert kept.columns == list(INTERACTIONS)
    assert set(kept[USER]) == {"new", "u01"}
    assert kept.height == len(known) + 3
