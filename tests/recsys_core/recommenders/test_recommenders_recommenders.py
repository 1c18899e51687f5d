import logging

import numpy as np
import polars as pl
import pytest

from recsys_core.columns import ITEM, SCORE, TIMESTAMP, USER
from recsys_core.errors import ConfigError
from recsys_core.recommenders import base, ease
from recsys_core.recommenders.ease import Ease
from recsys_core.recommenders.popularity import Popularity, RecentPopularity
from tests.recsys_core.recommenders.recommender_contract import CONFIG, ITEMS, TRAIN, USERS


class TestPopularity:
    def test_scores_are_the_summed_weights(self):
        fitted = Popularity(CONFIG).fit(TRAIN, ITEMS)
        table = fitted.recommend(pl.Series(USER, ["stranger"]), 8, exclude=TRAIN)
        scores = dict(table.select(ITEM, SCORE).iter_rows())
        assert (scores["i1"], scores["i0"], scores["i3"]) == (1 + 1 + 1, 1 + 1, 1 + 0.5)
        assert scores["i2"] == scores["i7"] == 0


class TestRecentPopularity:
    def scores(self, weeks, times):
        train = TRAIN.with_columns(pl.Series(TIMESTAMP, times, dtype=pl.Int64))
        fitted = RecentPopularity(CONFIG, weeks=weeks).fit(train, ITEMS)
        table = fitted.recommend(pl.Series(USER, ["stranger"]), 8, exclude=TRAIN)
        return table[ITEM].to_list(), dict(table.select(ITEM, SCORE).iter_rows())

    def test_only_the_last_weeks_count(self):
        day = 86_400
        times = [0, 0, 0, 10 * day, 10 * day, 10 * day, 20 * day, 20 * day, 20 * day, 21 * day]
        order, scores = self.scores(1, times)
        assert (scores["i1"], scores["i3"], scores["i0"]) == (1, 0.5, 0)
        # Without a recent rating: by popularity of all times.
        assert order[:3] == ["i1", "i3", "i0"]
        _, longer = self.scores(2, times)
        assert (longer["i1"], longer["i3"], longer["i0"]) == (1 + 1, 1 + 0.5, 1)

    def test_without_times_it_is_popularity(self):
        order, _ = self.scores(1, [None] * 10)
        plain = Popularity(CONFIG).fit(TRAIN, ITEMS)
        users = pl.Series(USER, ["stranger"])
        assert order == plain.recommend(users, 8, exclude=TRAIN)[ITEM].to_list()


class TestEase:
    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls):
        return Ease(CONFIG, regularisation=1.0).fit(TRAIN, ITEMS)

    def test_the_closed_form_is_the_constrained_least_squares_solution(self, fitted):
        from scipy.optimize import lsq_linear

        x = fitted.weights.matrix.toarray()
        n = x.shape[1]
        for column in range(n):
            others = [i for i in range(n) if i != column]
            design = np.vstack([x[:, others], np.sqrt(1.0) * np.eye(n - 1)])
            target = np.concatenate([x[:, column], np.zeros(n - 1)])
            solution = lsq_linear(design, target).x
            np.testing.assert_allclose(fitted._item_to_item[others, column], solution, atol=1e-6)
        assert (np.diag(fitted._item_to_item) == 0).all()

    def test_what_similar_users_like_comes_first(self, fitted):
        table = fitted.recommend(pl.Series(USER, ["ann"]), 1, exclude=TRAIN)
        assert table[ITEM].to_list() == ["i3"]  # bob likes what ann likes, and i3

    def test_users_without_evidence_get_popular_items_and_are_counted(self, fitted, caplog):
        with caplog.at_level(logging.INFO):
            table = fitted.recommend(USERS, 3, exclude=TRAIN)
        for user in ("stranger", "dan"):
            assert table.filter(pl.col(USER) == user)[ITEM].to_list() == ["i1", "i0", "i3"]
        assert [r.users_without_evidence for r in caplog.records] == [2]

    @pytest.mark.parametrize("value", [0, -1.0, float("nan")])
    def test_regularisation_must_be_positive(self, value):
        with pytest.raises(ConfigError, match="regularisation"):
            Ease(CONFIG, regularisation=value)

    def test_too_many_items_are_refused_before_memory_is_taken(self, monkeypatch):
        monkeypatch.setattr(ease, "MAX_ITEMS", 7)
        with pytest.raises(ConfigError, match="8 items"):
            Ease(CONFIG, regularisation=1.0).fit(TRAIN, ITEMS)


def test_users_are_scored_in_blocks_with_the_same_result(monkeypatch):
    fitted = Ease(CONFIG, regularisation=1.0).fit(TRAIN, ITEMS)
    whole = fitted.recommend(USERS, 5, exclude=TRAIN)
    monkeypatch.setattr(base, "_CELLS", 1)
    assert fitted.recommend(USERS, 5, exclude=TRAIN).equals(whole)
