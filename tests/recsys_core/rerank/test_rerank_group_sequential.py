"""The probe's test keeps its error rate over all looks and stops early where nothing is to gain.

Simulated with real differences: the percentiles of those that an uninformed judge made to NDCG@10
on MovieLens 100K (fold 1, lists by EASE, fusion 0.8 to 0.2, 828 users), shifted to a true mean.
"""

import numpy as np
import pytest

from recsys_core.evaluation.metrics import Floats
from recsys_core.rerank.group_sequential import LEVEL, critical_values, look

PLANNED = (50, 100, 200, 400, 600)
DRAWS = 2000
BELOW = [
    -0.814, -0.657, -0.613, -0.5, -0.43, -0.39, -0.385, -0.366, -0.348, -0.33, -0.314, -0.307,
    -0.289, -0.28, -0.27, -0.256, -0.246, -0.237, -0.232, -0.22, -0.214, -0.206, -0.196, -0.189,
    -0.177, -0.17, -0.162, -0.152, -0.147, -0.14, -0.13, -0.125, -0.118, -0.113, -0.107, -0.096,
    -0.093, -0.085, -0.079, -0.069, -0.06, -0.044, -0.034, -0.027, -0.012,
]  # fmt: skip
ABOVE = [
    0.004, 0.01, 0.021, 0.027, 0.035, 0.054, 0.066, 0.074, 0.086, 0.097, 0.113, 0.135, 0.145,
    0.155, 0.167, 0.175, 0.203, 0.237, 0.264, 0.315, 0.364, 0.474,
]  # fmt: skip
DIFFERENCES = np.array([*BELOW, *[0.0] * (100 - len(BELOW) - len(ABOVE)), *ABOVE])


def probed(differences: Floats, true_gain: float) -> tuple[float, float, int]:
    """Share of draws that end with serving, mean and largest number of users."""
    shifted = differences - differences.mean() + true_gain
    rng, served, users = np.random.default_rng(0), 0, []
    for _ in range(DRAWS):
        gains = rng.choice(shifted, PLANNED[-1])
        for size in PLANNED:
            found = look(gains[:size], PLANNED, smallest_gain=0.01)
            if found.decision != "go on":
                break
        served += found.decision == "serve"
        users.append(size)
    return served / DRAWS, float(np.mean(users)), max(users)


@pytest.mark.parametrize("sign", [1, -1], ids=["as seen", "mirrored skew"])
def test_no_gain_is_served_in_at_most_5_percent(sign: int) -> None:
    assert probed(sign * DIFFERENCES, 0.0)[0] <= 0.05
    assert probed(sign * DIFFERENCES, -0.01)[0] <= 0.01


def test_a_harm_is_found_out_after_100_users_in_the_mean() -> None:
    served, users, _ = probed(DIFFERENCES, -0.05)
    assert users <= 100
    assert served == 0


def test_a_gain_is_served_in_at_least_80_percent_with_at_most_600_users() -> None:
    served, _, most = probed(DIFFERENCES, 0.03)
    assert served >= 0.80
    assert most <= 600


def test_looking_often_without_the_correction_would_break_the_bar() -> None:
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(DRAWS):
        gains = rng.choice(DIFFERENCES - DIFFERENCES.mean(), PLANNED[-1])
        means = [gains[:n].mean() / gains[:n].std() * n**0.5 for n in PLANNED]
        wrong += max(means) > 1.645
    assert wrong / DRAWS > 0.10


def test_one_look_is_the_ordinary_test() -> None:
    from scipy.stats import norm

    assert critical_values((600,), 0.05) == pytest.approx([norm.isf(0.05)], abs=0.02)


def test_the_level_is_spent_little_by_little() -> None:
    values = critical_values(PLANNED, LEVEL)
    assert list(values) == sorted(values, reverse=True)
    paths = np.random.default_rng(1).normal(size=(200_000, 5))
    steps = np.diff([0, *PLANNED]) / PLANNED[-1]
    sums = np.cumsum(paths * np.sqrt(steps), axis=1)
    crossed = (sums / np.sqrt(np.cumsum(steps)) > np.array(values)).any(axis=1)
    assert crossed.mean() == pytest.approx(LEVEL, abs=0.002)


@pytest.mark.parametrize(
    ("gains", "decision"),
    [
        (np.full(50, 0.1), "serve"), (np.zeros(50), "futile"), (np.full(50, -0.1), "futile"),
        (np.tile([0.5, -0.5], 25), "go on"),
    ],
)  # fmt: skip
def test_decisions(gains: Floats, decision: str) -> None:
    assert look(gains, PLANNED, smallest_gain=0.01).decision == decision


def test_the_last_look_never_goes_on() -> None:
    assert look(np.tile([0.5, -0.5], 25), (50,), smallest_gain=0.01).decision == "undecided"
    assert look(np.ones(1), (1,), smallest_gain=0.01).decision == "undecided"
