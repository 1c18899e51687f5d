"""The last step on lists of any method, and the curve of what it costs."""

import numpy as np
import polars as pl
import pytest

from recsys_core.columns import (
    CALIBRATION,
    CANDIDATES,
    DIVERSITY,
    GENRES,
    ITEM,
    NDCG_AT_10,
    RANK,
    RANKING,
    TRADE_OFF,
    USER,
    check,
)
from recsys_core.diversity.config import DiversityConfig
from recsys_core.diversity.diversify import diversified, trade_off
from recsys_core.evaluation.metrics import NDCG
from recsys_core.evaluation.protocols import FULL, judge
from recsys_core.interactions.feedback import RatingScale
from tests.rerank_world import world

TABLES, _ = world(n_users=6, n_items=60, depth=30)
LIKE_FROM = RatingScale().like_from


def test_none_gives_the_lists_back() -> None:
    found = diversified(
        TABLES.candidates, TABLES.history, TABLES.items, like_from=LIKE_FROM,
        config=DiversityConfig(),
    )  # fmt: skip
    assert found.equals(TABLES.candidates)


@pytest.mark.parametrize("method", ["mmr", "calibration"])
def test_lists_keep_their_contract_and_change(method: str) -> None:
    config = DiversityConfig.model_validate({"method": method, "weight": 0.9})
    found = diversified(
        TABLES.candidates, TABLES.history, TABLES.items, like_from=LIKE_FROM, config=config
    )
    check(found.select(list(CANDIDATES)), CANDIDATES, table="candidates")
    assert not found.sort(USER, ITEM).equals(TABLES.candidates.sort(USER, ITEM))
    kept = found.select(USER, ITEM).sort(USER, ITEM)
    assert kept.equals(TABLES.candidates.select(USER, ITEM).sort(USER, ITEM))


def valid_of(lists: pl.DataFrame) -> pl.DataFrame:
    rows = lists.filter(pl.col(RANK).is_in([2, 15])).select(USER, ITEM)
    return rows.with_columns(
        pl.lit(5.0, pl.Float32).alias("rating"), pl.lit(None, pl.Int64).alias("timestamp")
    )


@pytest.mark.parametrize("depth", [30, 4])
def test_the_curve_measures_what_the_step_does(depth: int) -> None:
    lists = TABLES.candidates.filter(pl.col(RANK) <= depth)
    valid = valid_of(lists)
    curve = trade_off(lists, TABLES.history, valid, TABLES.items, like_from=LIKE_FROM, pool=50)
    check(curve, TRADE_OFF, table="trade_off")
    assert curve.height == 20
    for row in curve.iter_rows(named=True):
        config = DiversityConfig.model_validate({"method": row["method"], "weight": row["weight"]})
        after = diversified(lists, TABLES.history, TABLES.items, like_from=LIKE_FROM, config=config)
        found = judge(
            after.select(list(RANKING)), TABLES.history.clear(), valid, method="m", protocol=FULL,
            cutoffs=(10,), like_from=LIKE_FROM,
        ).per_user(NDCG, 10)  # fmt: skip
        assert row["ndcg_at_10"] == pytest.approx(float(np.nanmean(found)))


def test_more_weight_gives_more_of_what_was_asked_for() -> None:
    curve = trade_off(
        TABLES.candidates, TABLES.history, valid_of(TABLES.candidates), TABLES.items,
        like_from=LIKE_FROM, pool=50,
    )  # fmt: skip
    of = {method: own for (method,), own in curve.group_by("method", maintain_order=True)}
    assert of["mmr"]["diversity"][9] > of["mmr"]["diversity"][0]
    assert of["calibration"]["calibration_error"][9] < of["calibration"]["calibration_error"][0]


def test_without_a_validation_user_there_is_no_curve() -> None:
    curve = trade_off(
        TABLES.candidates, TABLES.history, valid_of(TABLES.candidates).clear(), TABLES.items,
        like_from=LIKE_FROM, pool=50,
    )  # fmt: skip
    assert curve.is_empty()


def test_items_without_genres() -> None:
    items = TABLES.items.with_columns(pl.lit([], pl.List(pl.String)).alias("genres"))
    config = DiversityConfig(method="mmr")
    found = diversified(
        TABLES.candidates, TABLES.history, items, like_from=LIKE_FROM, config=config
    )
    assert found.equals(TABLES.candidates.sort(USER, RANK))


def test_items_without_genres_have_neither_diversity_nor_calibration_error() -> None:
    items = TABLES.items.with_columns(pl.col(GENRES).list.head(0))
    lists = TABLES.candidates
    curve = trade_off(lists, TABLES.history, valid_of(lists), items, like_from=LIKE_FROM, pool=50)
    assert curve[NDCG_AT_10].is_finite().all()
    assert curve[DIVERSITY].is_nan().all()
    assert curve[CALIBRATION].is_nan().all()
