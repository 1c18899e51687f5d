"""Changed items: announced once, with their ids, until a complete run has processed them."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys_core.columns import ITEM, TITLE
from recsys_core.config import RunConfig
from recsys_core.datasets.changes import ANNOUNCED, PROCESSED
from recsys_core.errors import DataError
from tasks import metadata_changes as metadata
from tasks.metadata_changes import MAX_IDS, asked_for, processed, watch
from tests.small_data import small_items

HOUR = timedelta(hours=1)


class Data:
    """An ingested data set, as far as it is looked at here."""

    def __init__(self, items: pl.DataFrame) -> None:
        self.items = items

    def table(self, _: str) -> pl.DataFrame:
        return self.items


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was emitted."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(metadata, "emit_event", lambda **event: found.append(event))
    return found


def edited(items: pl.DataFrame, *ids: str) -> pl.DataFrame:
    title = pl.when(pl.col(ITEM).is_in(ids)).then(pl.lit("New")).otherwise(TITLE)
    return items.with_columns(title.alias(TITLE))


def test_exactly_the_edited_items_are_announced_once(tmp_path: Path, events) -> None:
    config, items = RunConfig(artifact_root=str(tmp_path), seed=3), small_items()
    processed.fn(config, Data(items))
    assert len(watch.fn(config, Data(items), HOUR)) == 0
    changed = edited(items, "film-01", "film-02")
    for _ in range(2):
        watch.fn(config, Data(changed), HOUR)
    (event,) = events
    assert event["event"] == "recsys.metadata.changed"
    assert event["payload"]["changed"] == ["film-01", "film-02"]
    assert event["payload"]["config"]["seed"] == 3, "the run that it asks for"

    more = edited(changed, "film-03")
    watch.fn(config, Data(more), HOUR)
    assert events[1]["payload"]["changed"] == ["film-01", "film-02", "film-03"], "sees both"
    processed.fn(config, Data(more))
    assert len(watch.fn(config, Data(more), HOUR)) == 0
    assert len(events) == 2


def test_what_nobody_processed_is_announced_again(tmp_path: Path, events) -> None:
    config, items = RunConfig(artifact_root=str(tmp_path)), small_items()
    processed.fn(config, Data(items.head(50)))
    for _ in range(2):
        watch.fn(config, Data(items), timedelta(0))
    assert [len(event["payload"]["added"]) for event in events] == [10, 10]


def test_the_first_look_records_and_announces_nothing(tmp_path: Path, events) -> None:
    config, items = RunConfig(artifact_root=str(tmp_path)), small_items()
    assert len(watch.fn(config, Data(items), HOUR)) == 0
    assert events == []
    watch.fn(config, Data(edited(items, "film-01")), HOUR)
    assert events[0]["payload"]["changed"] == ["film-01"], "what changes from then on is told"


def test_an_event_stays_small(tmp_path: Path, events) -> None:
    many = pl.DataFrame({ITEM: [f"film-{n}" for n in range(MAX_IDS + 5)]})
    config = RunConfig(artifact_root=str(tmp_path))
    processed.fn(config, Data(many.clear()))
    watch.fn(config, Data(many), HOUR)
    assert len(events[0]["payload"]["added"]) == MAX_IDS
    assert events[0]["payload"]["counts"] == {"added": MAX_IDS + 5, "changed": 0, "removed": 0}


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"[]", b"null",
     b'{"fingerprint": 1}', b'{"fingerprint": "x", "at": "2026-11-29T00:00:00"}'],
)  # fmt: skip
@pytest.mark.parametrize("name", [ANNOUNCED, PROCESSED])
def test_damaged_notes_of_the_watch_are_one_message(
    tmp_path: Path, events, name: str, damage: bytes
) -> None:
    config, items = RunConfig(artifact_root=str(tmp_path)), small_items()
    processed.fn(config, Data(items.head(50)))
    watch.fn(config, Data(items), HOUR)
    (note,) = (tmp_path / "state").rglob(name)
    note.write_bytes(damage)
    with pytest.raises(DataError, match=f"{name} cannot be read") as told:
        watch.fn(config, Data(items), HOUR)
    assert "remove the file" in str(told.value)


@pytest.mark.parametrize("given", [
    {}, {"seed": 3, "data": {"source": "ml-1m"}, "graph": {"layers": 2}},
    {"preset": "paper", "llm": {"model": "openai/x", "max_dollars": 2}},
    {"preset": "quick", "fusion": {"policy": "none"}, "data": {"text_columns": {"plot": "prose"}}},
])  # fmt: skip
def test_the_event_tells_what_was_set_and_nothing_else(given: dict[str, Any]) -> None:
    config = RunConfig.model_validate({**given, "artifact_root": "/a", "runs_root": "/r"})
    told = asked_for(config)
    assert RunConfig.model_validate(json.loads(json.dumps(told))) == config
    assert set(given) <= set(told)
    leaves = json.dumps(told).count(":")
    assert leaves < (45 if "preset" in given else 12), told  # a whole one has 150


def test_places_of_the_environment_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_ARTIFACTS", "s3://bucket/recsys")
    assert asked_for(RunConfig())["artifact_root"] == "s3://bucket/recsys"
