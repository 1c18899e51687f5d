"""The enrich step stands in ingest's place, with a key and without, and keeps the key to itself."""

import uuid
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys_core.artifacts import ArtifactRef, ArtifactStore
from recsys_core.columns import (
    AVAILABLE,
    INTERACTIONS,
    ITEM,
    ITEMS,
    KEYWORDS,
    OVERVIEW,
    RATING,
    TIMESTAMP,
    UNMATCHED,
    USER,
    check,
)  # fmt: skip
from recsys_core.datasets.config import TmdbConfig
from recsys_core.errors import ConfigError
from tasks.enrich import enrich
from tasks.runtime.keys import content_key
from tests.fake_tmdb import V3_KEY, FakeTmdb, items

COMMIT: dict[str, Any] = {
    "version": "1", "inputs": {}, "built_by": "test", "seconds": 0.0, "peak_memory_mib": 1.0,
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(root=str(tmp_path / "artifacts"))


@pytest.fixture
def data(store: ArtifactStore) -> ArtifactRef:
    schema = {USER: pl.Int64, ITEM: pl.Int64, RATING: pl.Float32, TIMESTAMP: pl.Int64}
    interactions = pl.DataFrame([(1, 7, 4.0, None)], schema=schema, orient="row")
    known = items((7, "Toy Story", 1995, None), (9, "No Such", 1990, "Its own."))
    known = known.with_columns(pl.lit(True).alias(AVAILABLE))
    with store.writer("ingest", "a" * 64) as out:
        out.table("interactions", interactions, INTERACTIONS)
        out.table("items", known, ITEMS)
        out.table("users", interactions.select(USER), {USER: None})
        out.fact("source", "a test")
        return out.commit(parameters={}, **COMMIT)


def build(store: ArtifactStore, data: ArtifactRef, config: TmdbConfig, key: bool) -> ArtifactRef:
    # A key of its own each time: what a store has under a key stays.
    with store.writer("enrich", uuid.uuid4().hex * 2) as out:
        enrich.__wrapped__(out, data=data, config=config, with_key=key)
        return out.commit(parameters={"config": config}, **COMMIT)


def test_without_a_key_the_data_set_goes_through_and_a_fact_says_so(
    tmdb: FakeTmdb, tmdb_config: TmdbConfig, store: ArtifactStore, data: ArtifactRef
) -> None:
    ref = build(store, data, tmdb_config, False)
    for table in data.tables:
        assert ref.table(table).equals(data.table(table))
    assert check(ref.table("unmatched"), UNMATCHED, table="unmatched").is_empty()
    assert "TMDB_API_KEY is not set" in ref.manifest.facts["metadata"]
    assert ref.manifest.facts["source"] == "a test"
    assert tmdb.seen == []
    off = tmdb_config.model_copy(update={"enabled": False})
    assert "switched off" in build(store, data, off, False).manifest.facts["metadata"]


def test_with_a_key_items_are_filled_and_counts_are_facts(
    tmdb_config: TmdbConfig, store: ArtifactStore, data: ArtifactRef, monkeypatch
) -> None:
    monkeypatch.setenv("TMDB_API_KEY", V3_KEY)
    ref = build(store, data, tmdb_config, True)
    assert ref.table("items")[OVERVIEW].to_list() == ["What happens in Toy Story.", "Its own."]
    assert ref.table("items")[KEYWORDS].to_list() == [["friendship", "k862"], []]
    assert ref.table("interactions").equals(data.table("interactions"))
    assert ref.table("users").equals(data.table("users"))
    assert ref.table("unmatched")[ITEM].to_list() == [9]
    facts = {"matched": 1, "unmatched": 1, "overviews_filled": 1, "requests": 4, "cached": 0}
    assert facts.items() <= ref.manifest.facts.items()
    again = build(store, data, tmdb_config, True)
    assert {"requests": 0, "cached": 4}.items() <= again.manifest.facts.items()
    assert again.content_hash == ref.content_hash


@pytest.mark.parametrize("known", [True, False])
def test_the_key_is_in_no_artifact(
    tmdb: FakeTmdb, tmdb_config: TmdbConfig, store: ArtifactStore, data: ArtifactRef,
    monkeypatch, known: bool,
) -> None:  # fmt: skip
    monkeypatch.setenv("TMDB_API_KEY", V3_KEY)
    tmdb.keys = frozenset({V3_KEY} if known else ())
    if known:
        build(store, data, tmdb_config, True)
    else:
        with pytest.raises(ConfigError) as caught:
            build(store, data, tmdb_config, True)
        assert V3_KEY not in str(caught.value)
    files = [path for path in Path(store.root).parent.rglob("*") if path.is_file()]
    assert len(files) >= (5 if known else 4)
    assert all(V3_KEY.encode() not in path.read_bytes() for path in files)


def test_a_worker_without_the_flows_key(tmdb_config, store, data, monkeypatch) -> None:
    monkeypatch.delenv("TMDB_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="not where this step runs"):
        build(store, data, tmdb_config, True)


def test_what_shapes_the_result_is_in_the_content_key_and_limits_are_not() -> None:
    def key(with_key: bool = True, **parameters: Any) -> str:
        inputs = {"config": TmdbConfig(**parameters), "with_key": with_key}
        return content_key("enrich", "1", inputs, {})

    assert key() == key(requests_per_10_s=1, cache_file="elsewhere", api_key_env="OTHER")
    assert len({key(), key(False), key(overwrite=True), key(language="de")}) == 4
