"""What the learned weights promise: a floor, zeros, the budget, and a planted sum."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.errors import ConfigError
from recsys_core.graph.components.selection import stacking
from recsys_core.graph.components.selection.candidate_pool import CandidatePool
from recsys_core.graph.components.selection.stacking import (
    BAGS,
    DEEP,
    StackedWeights,
    best_sum,
    learn_weights,
)

USERS, WIDTH, K = 300, 40, 10


def pool_of(scores: dict[str, np.ndarray], truth: np.ndarray, scales=None) -> CandidatePool:
    """Each user has one relevant candidate: the first of `truth`."""
    relevant = np.zeros((USERS, WIDTH), np.float32)
    relevant[np.arange(USERS), truth.argmax(1)] = 1.0
    return CandidatePool(
        names=tuple(scores),
        scores=torch.from_numpy(np.stack(list(scores.values())).astype(np.float32)),
        scales=np.ones(len(scores)) if scales is None else np.array(scales),
        filled=torch.ones((USERS, WIDTH), dtype=torch.bool),
        relevant=torch.from_numpy(relevant),
        ideal=torch.ones(USERS),
        k=K,
    )


def drawn(seed: int, *names: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((USERS, WIDTH)) for name in names}


def deep(pool: CandidatePool, learned: StackedWeights) -> tuple[float, float]:
    """NDCG@100 of the learned sum, and of the best component."""
    far = pool.at(DEEP)
    weights = np.array([learned.weights.get(name, 0.0) for name in pool.names]) * pool.scales
    alone = [float(far.ndcg(one).mean()) for one in far.scores]
    return float(far.ndcg(far.total(weights)).mean()), max(alone)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.floats(0, 3), st.integers(5, 60), st.sampled_from([2, 30, USERS]))
def test_the_sum_is_never_behind_its_best_component(seed, strength, budget, users) -> None:
    scores = drawn(seed, "a", "b", "c")
    truth = strength * scores["a"] + scores["b"] + drawn(seed + 1, "noise")["noise"]
    pool = pool_of(scores, truth).of_users(np.arange(users))
    learned = learn_weights(pool, budget=budget, seed=0)
    found, best = deep(pool, learned)
    assert found >= best - 1e-6
    assert learned.budget == (BAGS + 1) * budget
    assert learned.evaluations <= learned.budget + 1


def test_the_best_sum_of_one_search_is_no_worse_than_a_component() -> None:
    scores = drawn(0, "a", "b")
    pool = pool_of(scores, scores["a"] + scores["b"])
    alone = [float(pool.ndcg(one).mean()) for one in pool.scores]
    assert best_sum(pool, budget=9) > max(alone)


def test_a_planted_sum_is_found_and_noise_gets_no_weight() -> None:
    scores = drawn(0, "a", "b", "noise")
    learned = learn_weights(pool_of(scores, 2 * scores["a"] + scores["b"]), budget=300, seed=0)
    assert learned.ndcg > 0.95
    assert "noise" not in learned.weights
    assert learned.weights["a"] / learned.weights["b"] == pytest.approx(2.0, rel=0.25)
    assert learned.without["b"] < learned.ndcg


def test_weights_are_those_of_scores_that_are_not_scaled() -> None:
    scores = drawn(1, "a", "b")
    truth = scores["a"] + scores["b"]
    plain = learn_weights(pool_of(scores, truth), budget=100, seed=0)
    scaled = learn_weights(pool_of(scores, truth, scales=[10.0, 0.5]), budget=100, seed=0)
    assert scaled.weights["a"] == pytest.approx(plain.weights["a"] / 10.0)
    assert scaled.weights["b"] == pytest.approx(plain.weights["b"] / 0.5)


def test_one_component_keeps_its_weight() -> None:
    scores = drawn(2, "only")
    learned = learn_weights(pool_of(scores, drawn(3, "x")["x"]), budget=10, seed=0)
    assert list(learned.weights) == ["only"]
    assert learned.without == {}


def test_a_budget_that_does_not_reach_for_each_alone_is_refused() -> None:
    scores = drawn(4, "a", "b")
    with pytest.raises(ConfigError, match="at least 3"):
        learn_weights(pool_of(scores, scores["a"]), budget=2, seed=0)


def test_weights_rest_on_more_than_one_draw_of_the_users() -> None:
    scores = drawn(0, "a", "b", "c")
    truth = sum(scores.values()) + 4 * drawn(50, "x")["x"]
    few = pool_of(scores, truth).of_users(np.arange(24))
    once, again = (learn_weights(few, budget=60, seed=0).weights for _ in range(2))
    assert once == again
    assert once != learn_weights(few, budget=60, seed=1).weights
    assert set(once) == {"a", "b", "c"}, "what some of the parts want keeps a share"


def test_what_is_kept_has_a_third_of_the_weights_whatever_few_users_say() -> None:
    scores = drawn(0, "a", "b", "kept")
    few = pool_of(scores, scores["a"] + scores["b"]).of_users(np.arange(24))
    without = learn_weights(few, budget=60, seed=0)
    learned = learn_weights(few, budget=60, seed=0, kept="kept")
    assert without.weights.get("kept", 0.0) < 0.1 * sum(without.weights.values())
    assert learned.weights["kept"] >= sum(learned.weights.values()) / 3 - 1e-9
    gone = learn_weights(few, budget=60, seed=0, kept="not there")
    assert gone.weights == without.weights


@pytest.mark.parametrize(("users", "cut_offs"), [(USERS, [10, 32, 100]), (90, [100])])
def test_a_cut_off_has_a_say_where_lists_have_hits_enough(
    users: int, cut_offs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = drawn(5, "a", "b")
    pool = pool_of(scores, scores["a"]).of_users(np.arange(users))
    asked: list[int] = []
    search_parts = stacking._searches_of_parts

    def noted(pools, *args):
        asked.extend(one.k for one in pools)
        return search_parts(pools, *args)

    monkeypatch.setattr(stacking, "_searches_of_parts", noted)
    assert learn_weights(pool, budget=60, seed=0).ndcg == 1.0
    assert asked == cut_offs


@pytest.mark.parametrize("k", [1, 3, 10, WIDTH])
def test_hits_in_the_lists_are_counted(k: int) -> None:
    scores = drawn(8, "a")
    pool = pool_of(scores, drawn(9, "b")["b"]).at(k)
    best = np.argsort(-scores["a"], axis=1)[:, :k]
    hits = int(np.take_along_axis(pool.relevant.numpy(), best, axis=1).sum())
    assert pool.listed(pool.scores[0]) == hits


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 45), st.integers(1, 5))
def test_ndcg_by_ranks_is_that_of_sorted_lists(seed, k, levels) -> None:
    """Ties go to the lower number, and what fills up is no candidate."""
    rng = np.random.default_rng(seed)
    shape = (20, WIDTH)
    filled = np.arange(WIDTH) < rng.integers(1, WIDTH + 1, (20, 1))
    relevant = (rng.random(shape) < 0.1) & filled
    total = rng.integers(0, levels, shape).astype(np.float32)
    pool = CandidatePool(
        names=("a",), scores=torch.from_numpy(total[None]), scales=np.ones(1),
        filled=torch.from_numpy(filled), relevant=torch.from_numpy(relevant.astype(np.float32)),
        ideal=torch.ones(20), k=k,
    )  # fmt: skip
    order = np.argsort(np.where(filled, -total, np.inf), axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(relevant, order, axis=1)
    expected = (hits / np.log2(np.arange(hits.shape[1]) + 2)).sum(1)
    np.testing.assert_allclose(pool.ndcg(torch.from_numpy(total)).numpy(), expected, atol=1e-5)


def test_a_deeper_cut_off_counts_what_a_shallow_one_misses() -> None:
    scores = drawn(5, "a")
    pool = pool_of(scores, -scores["a"])  # the relevant candidate is the last one
    assert float(pool.ndcg(pool.scores[0]).mean()) == 0.0
    assert float(pool.at(WIDTH).ndcg(pool.scores[0]).mean()) > 0.0
