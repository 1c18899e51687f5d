import numpy as np
import polars as pl
import pytest

from recsys_core.columns import RANKING, USER
from recsys_core.evaluation.metrics import NDCG
from recsys_core.evaluation.protocols import FULL, judge
from recsys_core.rerank.config import FusionConfig
from recsys_core.rerank.fusion import SCALES, fused_lists
from recsys_core.rerank.learned_fusion import Setting, cross_fitted, measure, select, settings
from tests.rerank_fusion_world import LISTS, TRAIN, USERS_ALL, VALID, interactions, judged


def test_what_the_configuration_leaves_open_is_tried() -> None:
    assert len(settings(FusionConfig())) == 10 * len(SCALES)
    assert settings(FusionConfig(llm_weight=0.8, scale="rank")) == (
        Setting(weight=0.8, scale="rank"),
    )
    assert {one.scale for one in settings(FusionConfig(llm_weight=0.3))} == set(SCALES)


@pytest.mark.parametrize("depth", [20, 6])
def test_gains_are_those_of_the_protocol(depth: int) -> None:
    scores = judged(USERS_ALL[:9], USERS_ALL[9:15]).filter(pl.col("rank") <= depth)
    tried = [Setting(weight=0.7, scale=scale) for scale in SCALES]
    valid = pl.concat([VALID, interactions([("u01", "i3", 4.0), ("u02", "i8", 2.0)])])
    found = measure(LISTS, scores, valid, tried, like_from=4.0)
    mine = pl.col(USER).is_in(found.users.implode())
    assert found.users.to_list() == USERS_ALL[:15]

    def ndcg(lists: pl.DataFrame) -> np.ndarray:
        return judge(
            lists.filter(mine).select(list(RANKING)), TRAIN, valid.filter(mine), method="m",
            protocol=FULL, cutoffs=(10,), like_from=4.0,
        ).per_user(NDCG, 10)  # fmt: skip

    np.testing.assert_allclose(found.graph, ndcg(LISTS), atol=1e-12)
    for column, one in enumerate(tried):
        lists = fused_lists(LISTS, scores, found.users, weight=one.weight, scale=one.scale)
        np.testing.assert_allclose(found.graph + found.gains[:, column], ndcg(lists), atol=1e-12)


def test_the_best_setting_is_selected_if_it_exceeds_its_standard_error() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(100, 1))
    assert select(np.hstack([noise * 0.1 + 0.1, noise * 0.1 + 0.2]), fixed=False) == 1
    assert select(np.zeros((100, 3)), fixed=False) is None
    assert select(-np.abs(np.hstack([noise, noise])), fixed=False) is None
    assert select(-np.ones((5, 1)), fixed=True) == 0
    assert select(np.ones((1, 2)), fixed=False) is None
    assert select(np.full((9, 3), 0.1), fixed=False) == 0, "of equal ones the lowest weight"


def test_the_interval_does_not_profit_from_the_selection() -> None:
    """Many settings that gain nothing: the best looks good, the cross-fitted gain does not."""
    honest, naive = [], []
    for seed in range(300):
        gains = np.random.default_rng(seed).normal(size=(100, 40))
        honest.append(cross_fitted(gains, np.random.default_rng(1)).mean())
        naive.append(gains.mean(axis=0).max())
    assert np.mean(naive) > 0.15
    assert abs(np.mean(honest)) < 0.02


def test_a_user_never_chooses_the_own_setting() -> None:
    # The first setting helps one user hugely and nobody else; the second everybody a little.
    gains = np.zeros((50, 2))
    gains[0, 0], gains[:, 1] = 100.0, 0.5 + np.random.default_rng(0).normal(size=50) * 0.01
    assert cross_fitted(gains, np.random.default_rng(0))[0] == gains[0, 1]
