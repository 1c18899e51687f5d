import numpy as np
import pytest
from scipy import sparse

from recsys_core.baselines.ease import gram_matrix, regression
from recsys_core.config import GraphConfig
from recsys_core.graph import item_to_item as module
from recsys_core.graph.item_to_item import LIKENESS, REGULARISATION, item_to_item, regressed
from tests.graph_world import CONFIGS, run, task_of


def matrix(n_users: int = 40, n_items: int = 30) -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    return sparse.csr_matrix((rng.random((n_users, n_items)) < 0.2).astype(np.float64))


def features(n_items: int = 30) -> np.ndarray:
    """Random directions of any length; the last item has none."""
    found = np.random.default_rng(1).normal(size=(n_items, 4)).astype(np.float32)
    found[-1] = 0
    return found


def slopes(found: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    assert found is not None
    rated, items = found
    return rated @ items.T


def plain(weights: sparse.csr_matrix) -> np.ndarray:
    return regression(gram_matrix(weights, REGULARISATION))


@pytest.mark.parametrize("at_once", [1000, 7])
def test_all_directions_give_the_regression_whose_items_are_alike_in_advance(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "RANK", 1000)
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    weights, known_by = matrix(), features()
    gram = gram_matrix(weights, REGULARISATION)
    for one in range(29):
        for other in range(29):
            x, y = known_by[one].astype(float), known_by[other].astype(float)
            cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
            gram[one, other] += LIKENESS * np.exp((cosine - 1) / 0.3)
    found = slopes(regressed(weights, known_by, seed=0))
    assert np.abs(found - regression(gram)).max() < 1e-6


def test_items_without_features_have_the_plain_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RANK", 1000)
    weights = matrix()
    found = slopes(regressed(weights, 0 * features(), seed=0))
    assert np.abs(found - plain(weights)).max() < 1e-6


def test_an_item_without_ratings_is_scored_by_what_is_like_it() -> None:
    weights, known_by = matrix().tolil(), features()
    weights[:, 3] = 0
    known_by[3] = 2 * known_by[5]
    to_new = slopes(regressed(weights.tocsr(), known_by, seed=0))[:, 3]
    assert to_new.argmax() == 5
    without = slopes(regressed(weights.tocsr(), 0 * known_by, seed=0))[:, 3]
    assert np.abs(without).max() < 1e-12


def test_few_directions_come_close(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = matrix()
    scores = weights @ plain(weights)
    errors = []
    for rank in (5, 15):
        monkeypatch.setattr(module, "RANK", rank)
        found = regressed(weights, 0 * features(), seed=0)
        assert found is not None
        rated, items = found
        errors.append(np.linalg.norm(weights @ rated @ items.T - scores))
    best = np.linalg.svd(scores)[1]
    assert errors[0] == pytest.approx(np.linalg.norm(best[5:]), rel=0.1)
    assert errors[1] == pytest.approx(np.linalg.norm(best[15:]), rel=0.1)


def test_it_can_be_repeated_and_needs_no_users_of_training() -> None:
    task = task_of(CONFIGS["best"])
    one, other = (item_to_item(task) for _ in range(2))
    assert one is not None
    assert other is not None
    assert np.array_equal(one.rated, other.rated)
    edges = task.graph.edges
    assert np.array_equal(one.users(edges.where(edges.users < 5), 5), one.users(edges, 40)[:5])
    assert not one.users(edges.where(edges.users < 5), 6)[5].any()


def test_its_share_of_the_score_is_in_proportion_to_the_factor() -> None:
    config = CONFIGS["best"]
    single, triple = (
        item_to_item(task_of(config.model_copy(update={"item_to_item": factor})))
        for factor in (1.0, 3.0)
    )
    assert single is not None
    assert triple is not None
    np.testing.assert_allclose(triple.rated, 3 * single.rated, rtol=1e-6)
    assert np.array_equal(triple.items, single.items)


def test_too_many_items_or_too_few_of_anything_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert regressed(matrix(1, 30), features(), seed=0) is None
    assert regressed(matrix(40, 1), features(1), seed=0) is None
    monkeypatch.setattr(module, "MAX_ITEMS", 29)
    assert regressed(matrix(), features(), seed=0) is None
    assert item_to_item(task_of(CONFIGS["best"])) is None


def test_the_trained_vectors_carry_it_after_the_networks() -> None:
    alone = CONFIGS["best"].model_copy(update={"time_lift": 0.0})
    with_it = run(alone)
    without = run(alone.model_copy(update={"item_to_item": 0.0}))
    assert without.beside == ()
    (beside,) = with_it.beside
    width = without.user_vectors.shape[1]
    assert np.array_equal(with_it.user_vectors[:, :width], without.user_vectors)
    # The last item has no rating: a ridge reads what stands here (`new_items`).
    assert np.array_equal(with_it.item_vectors[:-1, width:], beside.items[:-1])
    assert np.array_equal(with_it.search_item_vectors[:, :width], without.search_item_vectors)
    # The search's regression has not seen the validation rows.
    assert not np.array_equal(with_it.search_item_vectors, with_it.item_vectors)
    assert with_it.facts["item_to_item"] == beside.items.shape[1]
    assert without.facts["item_to_item"] is None


def test_the_paper_has_none() -> None:
    assert GraphConfig(preset="paper").item_to_item == 0
