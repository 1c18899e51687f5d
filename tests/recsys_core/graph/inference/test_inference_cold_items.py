import numpy as np
import pytest

from recsys_core.graph.config import GraphConfig
from recsys_core.graph.inference.cold_items import with_cold_items
from recsys_core.recommenders.content_based import completed
from tests.graph_world import ALONE, N_ITEMS, run

KNOWN = np.arange(20) < 18
TEXT = np.eye(2, dtype=np.float32)[np.arange(20) % 2]


def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)


def test_known_items_stay_as_they_are() -> None:
    given = vectors()
    found = with_cold_items(given, TEXT, KNOWN, 1.0)
    np.testing.assert_array_equal(found[KNOWN], given[KNOWN])


def test_new_items_get_the_mean_of_model_and_ridge() -> None:
    given = vectors()
    read = completed(TEXT.astype(np.float64), given.astype(np.float64), KNOWN, 1.0)[~KNOWN]
    found = with_cold_items(given, TEXT, KNOWN, 1.0)[~KNOWN]
    np.testing.assert_allclose(found, (read + given[~KNOWN]) / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("known", "penalty"), [(KNOWN, 0.0), (KNOWN | True, 1.0), (KNOWN & False, 1.0)]
)
def test_nothing_to_read_or_nothing_to_read_from(known: np.ndarray, penalty: float) -> None:
    given = vectors()
    assert with_cold_items(given, TEXT, known, penalty) is given


def test_a_training_completes_its_new_item_alone() -> None:
    config = ALONE
    with_ridge, without = run(config), run(config.model_copy(update={"cold_item_ridge": 0.0}))
    assert (with_ridge.item_vectors[-1] != without.item_vectors[-1]).any()
    np.testing.assert_array_equal(with_ridge.item_vectors[:-1], without.item_vectors[:-1])
    np.testing.assert_array_equal(with_ridge.user_vectors, without.user_vectors)
    assert len(with_ridge.item_vectors) == N_ITEMS


def test_the_paper_leaves_it_to_the_network() -> None:
    assert GraphConfig(preset="paper").cold_item_ridge == 0
