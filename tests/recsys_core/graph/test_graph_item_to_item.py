import numpy as np
import pytest

from recsys_core.config import GraphConfig
from recsys_core.graph import regression
from recsys_core.graph.item_to_item import item_to_item
from tests.graph_world import CONFIGS, run, task_of


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


def test_with_too_many_items_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regression, "MAX_ITEMS", 29)
    assert item_to_item(task_of(CONFIGS["best"])) is None


def test_the_trained_vectors_carry_it_after_the_networks() -> None:
    alone = CONFIGS["best"].model_copy(update={"time_lift": 0.0, "rating_deviations": 0.0})
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
