import numpy as np
import pytest
from scipy import sparse

from recsys_core.baselines.ease import regression
from recsys_core.config import GraphConfig
from recsys_core.graph import item_to_item as module
from recsys_core.graph.item_to_item import REGULARISATION, item_to_item
from tests.graph_world import CONFIGS, run


def matrix(n_users: int = 40, n_items: int = 30) -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    return sparse.csr_matrix((rng.random((n_users, n_items)) < 0.2).astype(np.float64))


def test_all_directions_give_the_regressions_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RANK", 1000)
    weights = matrix()
    found = item_to_item(weights, 2.0, seed=0)
    assert found is not None
    scores = 2 * (weights @ regression(weights, REGULARISATION))
    assert np.abs(found.users(weights) @ found.scored.T - scores).max() < 1e-6


def test_few_directions_come_close(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = matrix()
    scores = weights @ regression(weights, REGULARISATION)
    errors = []
    for rank in (5, 15):
        monkeypatch.setattr(module, "RANK", rank)
        found = item_to_item(weights, 1.0, seed=0)
        assert found is not None
        errors.append(np.linalg.norm(found.users(weights) @ found.scored.T - scores))
    best = np.linalg.svd(scores)[1]
    assert errors[0] == pytest.approx(np.linalg.norm(best[5:]), rel=0.1)
    assert errors[1] == pytest.approx(np.linalg.norm(best[15:]), rel=0.1)


def test_it_can_be_repeated_and_needs_no_users_of_training() -> None:
    weights = matrix()
    one, other = (item_to_item(weights, 1.0, seed=3) for _ in range(2))
    assert one is not None
    assert other is not None
    assert np.array_equal(one.rated, other.rated)
    assert np.array_equal(one.users(weights[:5]), one.users(weights)[:5])
    assert not one.users(weights[:1] * 0).any()


def test_too_many_items_or_too_few_of_anything_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert item_to_item(matrix(1, 30), 1.0, seed=0) is None
    assert item_to_item(matrix(40, 1), 1.0, seed=0) is None
    monkeypatch.setattr(module, "MAX_ITEMS", 29)
    assert item_to_item(matrix(), 1.0, seed=0) is None


def test_the_trained_vectors_carry_it_after_the_networks() -> None:
    with_it = run(CONFIGS["best"])
    without = run(CONFIGS["best"].model_copy(update={"item_to_item": 0.0}))
    assert with_it.beside is not None
    assert without.beside is None
    width = without.user_vectors.shape[1]
    assert np.array_equal(with_it.user_vectors[:, :width], without.user_vectors)
    # The last item has no rating: a ridge reads what stands here (`new_items`).
    assert np.array_equal(with_it.item_vectors[:-1, width:], with_it.beside.scored[:-1])
    assert np.array_equal(with_it.search_item_vectors[:, :width], without.search_item_vectors)
    # The search's regression has not seen the validation rows.
    assert not np.array_equal(with_it.search_item_vectors, with_it.item_vectors)
    assert with_it.facts["item_to_item"] == with_it.beside.scored.shape[1]
    assert without.facts["item_to_item"] is None


def test_the_paper_has_none() -> None:
    assert GraphConfig(preset="paper").item_to_item == 0
