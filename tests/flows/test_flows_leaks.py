"""Nothing of the test part reaches a profile, a model, a list or a reason, whatever the split."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.rerank import rerank
from recsys_core.columns import ITEM, PART, RATING, TIMESTAMP, USER
from recsys_core.config import RunConfig, load_config
from recsys_core.datasets.splits import KINDS
from recsys_core.report.summary import StepSummary
from tests.small_data import SCALE, write_small

pytestmark = pytest.mark.usefixtures("prefect_server")

KNOWS_THE_TEST_PART = {"ingest", "enrich", "split", "test_split"}
MOMENT = 1_000_600_000


def config_for(folder: Path, kind: str) -> RunConfig:
    split: dict[str, Any] = {"kind": kind}
    if kind == "time":
        split["moment"] = str(MOMENT)
    return load_config(
        None,
        {
            "data": {"source": str(folder / "data"), **SCALE}, "split": split,
            "graph": {"max_epochs": 2, "hidden": 8, "heads": 2, "effort": "quick"},
            "artifact_root": str(folder / "artifacts"), "runs_root": str(folder / "runs"),
        },
    )  # fmt: skip


def with_times_and_parts(path: Path) -> pl.DataFrame:
    """A rating a thousand seconds, in a drawn order; the last sixth is given as test."""
    rows = pl.read_parquet(path)
    places = np.random.default_rng(1).permutation(rows.height)
    part = np.where(places < 560, "train", np.where(places < 640, "valid", "test"))
    return rows.with_columns(
        pl.Series(TIMESTAMP, 1_000_000_000 + 1_000 * places, pl.Int64), pl.Series(PART, part)
    )


def table(steps: list[StepSummary], step: str, name: str) -> pl.DataFrame:
    place = next(one.artifact for one in steps if one.step == step)
    return pl.read_parquet(Path(place) / f"{name}.parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_another_test_part_changes_nothing_that_is_served(kind: str, tmp_path: Path) -> None:
    write_small(tmp_path / "data")
    path = tmp_path / "data" / "interactions.parquet"
    rows = with_times_and_parts(path)
    rows.write_parquet(path)
    config = config_for(tmp_path, kind)
    before = rerank(config)
    held_out = table(before, "test_split", "test").select(USER, ITEM, pl.lit(True).alias("_test"))
    assert held_out.height >= 48
    marked = rows.join(held_out, on=[USER, ITEM], how="left", maintain_order="left")
    other = pl.when(pl.col("_test")).then(11 - pl.col(RATING)).otherwise(RATING).alias(RATING)
    changed = marked.with_columns(other).drop("_test")
    if kind == "time":  # what comes after the moment may come in another order, too, and be more
        future = pl.col(TIMESTAMP) >= MOMENT
        turned = pl.when(future).then(2 * MOMENT - pl.col(TIMESTAMP) + 10**6).otherwise(TIMESTAMP)
        known = changed.filter(~future)[USER].unique().sort().head(9)
        more = known.to_frame().join(changed.select(ITEM).unique(), how="cross")
        more = more.join(changed, on=[USER, ITEM], how="anti").sort(USER, ITEM)
        more = more.with_columns(
            pl.lit(10.0).alias(RATING), pl.lit(MOMENT + 5, pl.Int64).alias(TIMESTAMP),
            pl.lit("test").alias(PART),
        )  # fmt: skip
        changed = pl.concat([changed.with_columns(turned.alias(TIMESTAMP)), more])
    assert not changed.equals(rows)
    changed.write_parquet(path)
    after = rerank(config)
    assert not table(after, "test_split", "test").equals(table(before, "test_split", "test"))
    redone = {one.step for one in after if not one.cached}
    # The served model says how many ratings the data set had: with `time`, some were added.
    assert redone <= KNOWS_THE_TEST_PART | ({"served_model"} if kind == "time" else set())
    assert {one.step for one in after} >= {"user_profiles", "train", "candidates", "explain"}
