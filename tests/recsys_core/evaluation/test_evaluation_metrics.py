import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy import log2

from recsys_core.errors import ConfigError
from recsys_core.evaluation.metric_table import METRICS, RANKING, accuracy, metric, shown_in
from recsys_core.evaluation.metrics import HIT_RATE, MAP, MRR, NDCG, PRECISION, RECALL

CUTOFFS = (1, 2, 4, 10)


def lists(*rows):
    return np.array(rows, dtype=bool)


def test_values_are_the_formulas():
    values = accuracy(lists([1, 0, 1, 0], [0, 0, 0, 1]), np.array([3, 1]), CUTOFFS)
    expected = {
        PRECISION: [[1 / 1, 1 / 2, 2 / 4, 2 / 10], [0 / 1, 0 / 2, 1 / 4, 1 / 10]],
        RECALL: [[1 / 3, 1 / 3, 2 / 3, 2 / 3], [0, 0, 1, 1]],
        MAP: [
            [1 / 3 * (1 / 1), 1 / 3 * (1 / 1), 1 / 3 * (1 / 1 + 2 / 3), 1 / 3 * (1 / 1 + 2 / 3)],
            [0, 0, 1 / 1 * (1 / 4), 1 / 1 * (1 / 4)],
        ],
        MRR: [[1, 1, 1, 1], [0, 0, 1 / 4, 1 / 4]],
        HIT_RATE: [[1, 1, 1, 1], [0, 0, 1, 1]],
        NDCG: [
            [
                (1 / log2(2)) / (1 / log2(2)),
                (1 / log2(2)) / (1 / log2(2) + 1 / log2(3)),
                (1 / log2(2) + 1 / log2(4)) / (1 / log2(2) + 1 / log2(3) + 1 / log2(4)),
                (1 / log2(2) + 1 / log2(4)) / (1 / log2(2) + 1 / log2(3) + 1 / log2(4)),
            ],
            [0, 0, 1 / log2(5), 1 / log2(5)],
        ],
    }
    assert set(expected) <= set(values) == {one.name for one in RANKING}
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, err_msg=name)


def test_positions_count_only_the_rated_items_when_condensed():
    # List: unrated, relevant, unrated, rated but not relevant, relevant.
    relevant, rated = lists([0, 1, 0, 0, 1]), lists([0, 1, 0, 1, 1])
    values = accuracy(relevant, np.array([4]), (1, 2, 5), rated=rated)
    np.testing.assert_allclose(values[PRECISION], [[0, 1 / 1, 2 / 3]])
    np.testing.assert_allclose(values[RECALL], [[0, 1 / 4, 2 / 4]])
    np.testing.assert_allclose(values[MAP], [[0, 1 / 4 * (1 / 1), 1 / 4 * (1 / 1 + 2 / 3)]])
    np.testing.assert_allclose(values[MRR], [[0, 1 / 1, 1 / 1]])
    ideal = [1 / log2(2), 1 / log2(2) + 1 / log2(3), sum(1 / log2(p + 1) for p in (1, 2, 3, 4))]
    found = [0, 1 / log2(2), 1 / log2(2) + 1 / log2(4)]
    np.testing.assert_allclose(values[NDCG], [[f / i for f, i in zip(found, ideal, strict=True)]])


def test_nothing_relevant_and_nothing_listed_give_zero():
    values = accuracy(lists([0, 0]), np.array([0]), (1, 5), rated=lists([0, 0]))
    assert all((value == 0).all() for value in values.values())


@pytest.mark.parametrize("k", [1, 3, 10, 40])
def test_ndcg_agrees_with_scikit_learn(k):
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(k)
    truth = rng.random((50, 30)) < 0.2
    truth[:, 0] |= ~truth.any(axis=1)
    scores = rng.random(truth.shape)
    ranked = np.take_along_axis(truth, np.argsort(-scores, axis=1), axis=1)
    ours = accuracy(ranked, truth.sum(axis=1), (k,))[NDCG].mean()
    assert ours == pytest.approx(ndcg_score(truth, scores, k=min(k, 30)))


def test_map_over_the_whole_list_agrees_with_scikit_learn():
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    truth = rng.random((50, 30)) < 0.2
    truth[:, 0] |= ~truth.any(axis=1)
    scores = rng.random(truth.shape)
    ranked = np.take_along_axis(truth, np.argsort(-scores, axis=1), axis=1)
    ours = accuracy(ranked, truth.sum(axis=1), (30,))[MAP].mean()
    assert ours == pytest.approx(average_precision_score(truth, scores, average="samples"))


@st.composite
def some_lists(draw):
    width = draw(st.integers(1, 12))
    bits = st.lists(st.booleans(), min_size=width, max_size=width)
    rows = draw(st.lists(bits, min_size=1, max_size=6))
    relevant = np.array(rows, dtype=bool)
    extra = draw(st.lists(st.integers(0, 5), min_size=len(rows), max_size=len(rows)))
    return relevant, relevant.sum(axis=1) + np.array(extra)


@given(some_lists())
def test_every_value_lies_between_zero_and_one(case):
    for value in accuracy(*case, (1, 3, 20)).values():
        assert (value >= 0).all()
        assert (value <= 1 + 1e-12).all()


@given(some_lists())
def test_recall_map_mrr_and_hit_rate_never_fall_with_k(case):
    values = accuracy(*case, (1, 2, 5, 20))
    for name in (RECALL, MAP, MRR, HIT_RATE):
        assert (np.diff(values[name], axis=1) >= -1e-12).all(), name


@given(some_lists())
def test_moving_hits_to_the_front_never_hurts(case):
    relevant, total = case
    better = accuracy(-np.sort(-relevant.astype(int), axis=1) > 0, total, (3, 8))
    for name, value in accuracy(relevant, total, (3, 8)).items():
        assert (better[name] >= value - 1e-12).all(), name


@given(some_lists())
def test_a_perfect_list_has_ndcg_one(case):
    relevant, _ = case
    total = np.maximum(relevant.sum(axis=1), 1)
    perfect = np.arange(relevant.shape[1])[None, :] < total[:, None]
    np.testing.assert_allclose(accuracy(perfect, total, (1, 4, 20))[NDCG], 1.0)


@given(some_lists())
def test_condensing_a_list_whose_items_are_all_rated_changes_only_short_precision(case):
    relevant, total = case
    width = relevant.shape[1]
    plain = accuracy(relevant, total, (width,))
    condensed = accuracy(relevant, total, (width,), rated=np.ones_like(relevant))
    for name in plain:
        np.testing.assert_allclose(condensed[name], plain[name], err_msg=name)


def test_the_table_names_each_metric_once_and_shows_it_somewhere():
    names = [one.name for one in METRICS]
    assert len(names) == len(set(names))
    assert shown_in("accuracy") + shown_in("beyond accuracy") == METRICS
    assert all(one.label and one.meaning.endswith(".") for one in METRICS)
    assert metric(NDCG).label == "NDCG"
    with pytest.raises(ConfigError, match=r"No metric is called 'ndgc'(.|\n)*write 'ndcg'"):
        metric("ndgc")
