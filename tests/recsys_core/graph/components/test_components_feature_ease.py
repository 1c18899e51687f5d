import numpy as np
import pytest
from scipy import sparse

from recsys_core.graph.components.dot_products.feature_ease import ALL, DenseScorer, FeatureEase
from recsys_core.recommenders.ease import gram_of, regression

LAMBDA, LIKENESS = 40.0, 20.0
SETTINGS = {"lambda": LAMBDA, "likeness": LIKENESS / LAMBDA, "sharpness": 3.0, "rank": ALL}


def matrix(n_users: int = 40, n_items: int = 30) -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    return sparse.csr_matrix((rng.random((n_users, n_items)) < 0.2).astype(np.float64))


def features(n_items: int = 30) -> np.ndarray:
    """Random directions of any length; the last item has none."""
    found = np.random.default_rng(1).normal(size=(n_items, 4)).astype(np.float32)
    found[-1] = 0
    return found


def prepared(weights, known_by, also=None) -> FeatureEase:
    return FeatureEase(matrix=weights.astype(np.float32), features=known_by, seed=0, also=also)


def slopes(weights, known_by, also=None) -> np.ndarray:
    ready = prepared(weights, known_by, also)
    return ready.slopes({name: SETTINGS[name] for name in ready.grid})


def plain(weights: sparse.csr_matrix) -> np.ndarray:
    return regression(gram_of(weights.astype(np.float32)), LAMBDA)


def test_it_is_the_regression_whose_items_are_alike_in_advance() -> None:
    weights, known_by = matrix(), features()
    gram = gram_of(weights.astype(np.float32))
    for one in range(29):
        for other in range(29):
            x, y = known_by[one].astype(float), known_by[other].astype(float)
            cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
            gram[one, other] += LIKENESS * np.exp(3.0 * (cosine - 1))
    assert np.abs(slopes(weights, known_by) - regression(gram, LAMBDA)).max() < 1e-4


def test_items_without_features_have_the_plain_regression() -> None:
    weights = matrix()
    assert "likeness" not in prepared(weights, 0 * features()).grid
    assert np.abs(slopes(weights, 0 * features()) - plain(weights)).max() < 1e-4


def test_an_item_without_ratings_is_scored_by_what_is_like_it() -> None:
    weights, known_by = matrix().tolil(), features()
    weights[:, 3] = 0
    known_by[3] = 2 * known_by[5]
    assert slopes(weights.tocsr(), known_by)[:, 3].argmax() == 5
    assert np.abs(slopes(weights.tocsr(), 0 * known_by)[:, 3]).max() < 1e-12


def test_few_directions_come_close_and_are_cut_from_the_same_ones() -> None:
    weights = matrix()
    scores = weights @ plain(weights)
    ready = prepared(weights, 0 * features())
    best, errors = np.linalg.svd(scores)[1], []
    for rank in (3, 7):
        found = ready.factors({"lambda": LAMBDA, "rank": float(rank)})
        assert found.items.shape == (30, rank)
        errors.append(np.linalg.norm(weights @ found.rated @ found.items.T - scores))
    assert errors[0] == pytest.approx(np.linalg.norm(best[3:]), rel=0.1)
    assert errors[1] == pytest.approx(np.linalg.norm(best[7:]), rel=0.1)
    most = ready.factors({"lambda": LAMBDA, "rank": ALL})
    assert most.items.shape == (30, ready.most_directions)


def test_more_rows_are_learned_from_and_not_scored() -> None:
    weights, more = matrix(), sparse.csr_matrix(np.eye(30)[[4, 4, 9]] + np.eye(30)[[7, 7, 2]])
    wanted = regression(gram_of(sparse.vstack([weights, more], dtype=np.float32)), LAMBDA)
    assert np.abs(slopes(weights, 0 * features(), more) - wanted).max() < 1e-4
    scorer = DenseScorer(matrix=weights, slopes=wanted.astype(np.float32))
    users = np.array([0, 3])
    found = scorer.scores(None, users)  # type: ignore[arg-type]  # it has the rows itself
    np.testing.assert_allclose(found, weights[users] @ wanted, atol=1e-5)


def test_columns_beyond_the_items_predict_and_are_not_predicted() -> None:
    weights = matrix()
    told = sparse.hstack([weights, weights[:, [4]]], format="csr")
    found = slopes(told, 0 * features())
    assert found.shape == (31, 30)
    assert found[30].argmax() == 4
