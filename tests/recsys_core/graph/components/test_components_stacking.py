"""What the learned weights promise: a floor, zeros, the budget, and a planted sum."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.errors import ConfigError
from recsys_core.graph.components.selection.candidate_pool import CandidatePool
from recsys_core.graph.components.selection.stacking import (
    learn_weights,
    learn_weights_of_few,
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


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.floats(0, 3), st.integers(5, 60))
def test_the_sum_is_never_behind_its_best_component(seed, strength, budget) -> None:
    scores = drawn(seed, "a", "b", "c")
    truth = strength * scores["a"] + scores["b"] + drawn(seed + 1, "noise")["noise"]
    learned = learn_weights(pool_of(scores, truth), budget=budget)
    assert learned.ndcg >= max(learned.alone.values()) - 1e-9
    assert learned.evaluations <= budget + 2 * len(scores)  # and the values without each at the end


def test_a_planted_sum_is_found_and_noise_gets_no_weight() -> None:
    scores = drawn(0, "a", "b", "noise")
    learned = learn_weights(pool_of(scores, 2 * scores["a"] + scores["b"]), budget=300)
    assert learned.ndcg > 0.95
    assert "noise" not in learned.weights
    assert learned.weights["a"] / learned.weights["b"] == pytest.approx(2.0, rel=0.25)
    assert learned.without["b"] < learned.ndcg


def test_weights_are_those_of_scores_that_are_not_scaled() -> None:
    scores = drawn(1, "a", "b")
    truth = scores["a"] + scores["b"]
    plain = learn_weights(pool_of(scores, truth), budget=100)
    scaled = learn_weights(pool_of(scores, truth, scales=[10.0, 0.5]), budget=100)
    assert scaled.weights["a"] == pytest.approx(plain.weights["a"] / 10.0)
    assert scaled.weights["b"] == pytest.approx(plain.weights["b"] / 0.5)


def test_one_component_keeps_its_weight() -> None:
    scores = drawn(2, "only")
    learned = learn_weights(pool_of(scores, drawn(3, "x")["x"]), budget=10)
    assert list(learned.weights) == ["only"]
    assert learned.without == {}


def test_a_budget_that_does_not_reach_for_each_alone_is_refused() -> None:
    scores = drawn(4, "a", "b")
    with pytest.raises(ConfigError, match="at least 3"):
        learn_weights(pool_of(scores, scores["a"]), budget=2)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 1000), st.floats(0, 3))
def test_of_few_users_too_the_sum_is_never_behind_its_best_component(seed, strength) -> None:
    scores = drawn(seed, "a", "b", "c")
    truth = strength * scores["a"] + scores["b"] + drawn(seed + 1, "noise")["noise"]
    pool = pool_of(scores, truth).of_users(np.arange(30))
    learned = learn_weights_of_few(pool, budget=60, seed=0)
    assert learned.ndcg >= max(learned.alone.values()) - 1e-9
    assert learned.evaluations <= learned.budget + 14 * len(scores)


def test_weights_of_few_users_rest_on_more_than_one_draw_of_them() -> None:
    scores = drawn(0, "a", "b", "c")
    truth = sum(scores.values()) + 4 * drawn(50, "x")["x"]
    few = pool_of(scores, truth).of_users(np.arange(24))
    once, many = (learn_weights_of_few(few, budget=60, seed=seed).weights for seed in (0, 0))
    assert once == many
    halves = learn_weights(few.of_users(np.arange(12)), budget=60).weights
    assert set(once) >= set(halves), "what a half of them wants keeps a share"


def test_what_is_kept_has_a_third_of_the_weights_whatever_few_users_say() -> None:
    scores = drawn(0, "a", "b", "kept")
    few = pool_of(scores, scores["a"] + scores["b"]).of_users(np.arange(24))
    without = learn_weights_of_few(few, budget=60, seed=0)
    learned = learn_weights_of_few(few, budget=60, seed=0, kept="kept")
    assert without.weights.get("kept", 0.0) < 0.1 * sum(without.weights.values())
    assert learned.weights["kept"] >= sum(learned.weights.values()) / 3 - 1e-9
    gone = learn_weights_of_few(few, budget=60, seed=0, kept="not there")
    assert gone.weights == without.weights


def test_a_deeper_cut_off_counts_what_a_shallow_one_misses() -> None:
    scores = drawn(5, "a")
    pool = pool_of(scores, -scores["a"])  # the relevant candidate is the last one
    assert float(pool.ndcg(pool.scores[0]).mean()) == 0.0
    assert float(pool.at(WIDTH).ndcg(pool.scores[0]).mean()) > 0.0
