import numpy as np
import pytest
from scipy import sparse

from recsys_core.graph.components import feature_ease as module
from recsys_core.graph.components.feature_ease import LIKENESS, REGULARISATION, low_rank_ease
from recsys_core.recommenders.ease import gram_matrix, regression

FEW = "fewer than two users or items"


def matrix(n_users: int = 40, n_items: int = 30) -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    return sparse.csr_matrix((rng.random((n_users, n_items)) < 0.2).astype(np.float64))


def features(n_items: int = 30) -> np.ndarray:
    """Random directions of any length; the last item has none."""
    found = np.random.default_rng(1).normal(size=(n_items, 4)).astype(np.float32)
    found[-1] = 0
    return found


def slopes(found: tuple[np.ndarray, np.ndarray] | str) -> np.ndarray:
    assert not isinstance(found, str)
    rated, items = found
    return rated @ items.T


def plain(weights: sparse.csr_matrix) -> np.ndarray:
    return regression(gram_matrix(weights, REGULARISATION))


@pytest.mark.parametrize("at_once", [1000, 7])
def test_all_directions_give_the_regression_whose_items_are_alike_in_advance(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    weights, known_by = matrix(), features()
    gram = gram_matrix(weights, REGULARISATION)
    for one in range(29):
        for other in range(29):
            x, y = known_by[one].astype(float), known_by[other].astype(float)
            cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
            gram[one, other] += LIKENESS * np.exp((cosine - 1) / 0.3)
    found = slopes(low_rank_ease(weights, known_by, rank=1000, seed=0))
    assert np.abs(found - regression(gram)).max() < 1e-6


def test_items_without_features_have_the_plain_regression() -> None:
    weights = matrix()
    found = slopes(low_rank_ease(weights, 0 * features(), rank=1000, seed=0))
    assert np.abs(found - plain(weights)).max() < 1e-6


def test_an_item_without_ratings_is_scored_by_what_is_like_it() -> None:
    weights, known_by = matrix().tolil(), features()
    weights[:, 3] = 0
    known_by[3] = 2 * known_by[5]
    to_new = slopes(low_rank_ease(weights.tocsr(), known_by, rank=30, seed=0))[:, 3]
    assert to_new.argmax() == 5
    without = slopes(low_rank_ease(weights.tocsr(), 0 * known_by, rank=30, seed=0))[:, 3]
    assert np.abs(without).max() < 1e-12


def test_few_directions_come_close() -> None:
    weights = matrix()
    scores = weights @ plain(weights)
    errors = []
    for rank in (5, 15):
        found = low_rank_ease(weights, 0 * features(), rank=rank, seed=0)
        assert not isinstance(found, str)
        rated, items = found
        errors.append(np.linalg.norm(weights @ rated @ items.T - scores))
    best = np.linalg.svd(scores)[1]
    assert errors[0] == pytest.approx(np.linalg.norm(best[5:]), rel=0.1)
    assert errors[1] == pytest.approx(np.linalg.norm(best[15:]), rel=0.1)


def test_more_rows_are_learned_from_and_not_scored() -> None:
    weights, more = matrix(), sparse.csr_matrix(np.eye(30)[[4, 4, 9]] + np.eye(30)[[7, 7, 2]])
    found = low_rank_ease(weights, 0 * features(), rank=1000, seed=0, also=more)
    wanted = regression(gram_matrix(sparse.vstack([weights, more]), REGULARISATION))
    assert np.abs(slopes(found) - wanted).max() < 1e-6
    few = low_rank_ease(weights, 0 * features(), rank=5, seed=0, also=more)
    assert not isinstance(few, str)
    # The directions are those of the scores of `weights` alone.
    error = np.linalg.norm(weights @ few[0] @ few[1].T - weights @ wanted)
    best = np.linalg.svd(weights @ wanted)[1]
    assert error == pytest.approx(np.linalg.norm(best[5:]), rel=0.1)


def test_too_many_items_or_too_few_of_anything_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert low_rank_ease(matrix(1, 30), features(), rank=5, seed=0) == FEW
    assert low_rank_ease(matrix(40, 1), features(1), rank=5, seed=0) == FEW
    monkeypatch.setattr(module, "MOST_ITEMS", 29)
    assert "more than 29 items" in low_rank_ease(matrix(), features(), rank=5, seed=0)
