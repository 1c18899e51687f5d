import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    COMPARISONS,
    DIFFERENCE,
    METHOD,
    P_ADJUSTED,
    P_VALUE,
    USERS,
    check,
)
from recsys_core.errors import ConfigError
from recsys_core.evaluation import significance
from recsys_core.evaluation.significance import compare, holm, intervals, means, sign_flip


def some_values(users=200, columns=3, seed=0):
    return np.random.default_rng(seed).random((users, columns))


def test_means_leave_out_users_that_do_not_count():
    values = np.array([[1.0, np.nan], [0.0, np.nan], [np.nan, np.nan]])
    mean, users = means(values)
    np.testing.assert_array_equal(mean, [(1 + 0) / 2, np.nan])
    assert users.tolist() == [2, 0]


def test_intervals_agree_with_scipy():
    from scipy.stats import bootstrap

    values = some_values(columns=1)
    low, high = intervals(values, resamples=4000, seed=0)
    peer = bootstrap(
        (values[:, 0],), np.mean, method="percentile", n_resamples=4000,
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert (low[0], high[0]) == (
        pytest.approx(peer.low, abs=4e-3),
        pytest.approx(peer.high, abs=4e-3),
    )


def test_intervals_are_repeatable_and_paired():
    values = some_values()
    one, other = intervals(values, resamples=500, seed=3), intervals(values, resamples=500, seed=3)
    np.testing.assert_array_equal(one, other)
    shifted = intervals(values + 1.0, resamples=500, seed=3)
    np.testing.assert_allclose(shifted[0], one[0] + 1.0)


def test_drawing_in_chunks_changes_nothing(monkeypatch):
    whole = intervals(some_values(), resamples=50, seed=0)
    monkeypatch.setattr(significance, "_CELLS", 1000)
    np.testing.assert_allclose(intervals(some_values(), resamples=50, seed=0), whole)


@pytest.mark.parametrize(("values", "resamples"), [(np.empty((0, 2)), 10), (some_values(), 0)])
def test_no_users_or_no_resamples_give_no_interval(values, resamples):
    low, high = intervals(values, resamples=resamples, seed=0)
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_a_column_in_which_nobody_counts_has_no_interval():
    values = np.column_stack([some_values(columns=1), np.full(200, np.nan)])
    low, high = intervals(values, resamples=20, seed=0)
    assert low[0] < high[0]
    assert np.isnan([low[1], high[1]]).all()


def test_a_rare_user_is_missing_from_some_draws_without_a_warning():
    values = np.array([[0.5], [np.nan], [np.nan]])
    low, high = intervals(values, resamples=100, seed=0)
    assert (low[0], high[0]) == (0.5, 0.5)


def test_sign_flip_agrees_with_scipy():
    from scipy.stats import permutation_test

    rng = np.random.default_rng(0)
    one, other = rng.random(40), rng.random(40) + 0.1
    peer = permutation_test(
        (one, other), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=4000, rng=rng,
    )  # fmt: skip
    assert sign_flip(one - other, resamples=4000, seed=0) == pytest.approx(peer.pvalue, abs=0.02)


def test_equal_methods_do_not_differ_and_a_clear_winner_does():
    base = some_values(columns=1)[:, 0]
    noise = np.random.default_rng(5).normal(0, 0.01, base.size)
    table = compare({"base": base, "same": base.copy(), "better": base + 0.1 + noise}, "base")
    check(table, COMPARISONS, table="comparisons")
    same, better = table.rows(named=True)
    assert (same[METHOD], better[METHOD]) == ("same", "better")
    assert (same[DIFFERENCE], same[P_VALUE], same[P_ADJUSTED]) == (0.0, 1.0, 1.0)
    assert better[P_ADJUSTED] < 0.01
    assert better[CI_LOW] < better[DIFFERENCE] == pytest.approx(0.1, abs=0.01)
    assert better[CI_LOW] > 0 < better[CI_HIGH]


def test_only_users_that_both_methods_count_are_compared():
    one, other = np.array([1.0, np.nan, 0.5]), np.array([0.0, 1.0, np.nan])
    table = compare({"one": one, "other": other}, "one", resamples=10)
    assert table.select(USERS, DIFFERENCE).row(0) == (1, -1.0)


def test_no_common_user_proves_nothing():
    table = compare({"one": np.array([1.0, np.nan]), "other": np.array([np.nan, 1.0])}, "one")
    assert table.select(USERS, P_VALUE).row(0) == (0, 1.0)


def test_an_unknown_reference_is_named():
    with pytest.raises(ConfigError, match="'nobody'"):
        compare({"one": np.ones(2)}, "nobody")


def test_holm_is_the_worked_example():
    # Sorted .01 .02 .04 -> 3 * .01, 2 * .02, 1 * .04, then made non-decreasing.
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.02])), [0.04, 0.03, 0.04])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_raw_and_the_bonferroni_value(p_values):
    raw = np.array(p_values)
    adjusted = holm(raw)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(raw * raw.size, 1.0) + 1e-12).all()
    order = np.argsort(raw, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
