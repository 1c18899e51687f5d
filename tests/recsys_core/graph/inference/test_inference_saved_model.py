"""A stored model places users as the trained one does."""

import numpy as np
import pytest

from recsys_core.columns import ITEM, USER
from recsys_core.errors import DataError
from recsys_core.graph.components.dot_products.base import COMPONENTS
from recsys_core.graph.components.dot_products.component_file import (
    CLASSES,
    components_to_bytes,
    sum_from_bytes,
)
from recsys_core.graph.inference.fold_in import fold_in_users
from recsys_core.graph.inference.saved_model import fitted_model, to_bytes
from recsys_core.graph.interaction_graph import Edges
from recsys_core.interactions.lookup import vector_table
from tests.graph_world import (
    CONFIGS,
    DATA,
    TASTES,
    edges_of,
    every_component,
    fitted_of,
    planted,
    run,
    with_tastes,
)


@pytest.fixture(scope="module", params=[0.9, 0.0])
def trained_model(request):
    graph = with_tastes(planted()[0])
    choice = every_component(decay=request.param)
    trained = run(CONFIGS["best"], graph=graph, valid=Edges.empty(), epochs=3, choice=choice)
    return fitted_of(trained, graph), trained


def test_every_component_can_be_stored():
    assert set(CLASSES) == set(COMPONENTS)


def test_a_stored_model_places_users_as_the_trained_one(trained_model):
    made, trained = trained_model
    tables = {
        "users": vector_table(made.graph.user_ids.alias(USER), trained.user_vectors),
        "items": vector_table(made.graph.item_ids.alias(ITEM), trained.item_vectors),
    }
    tables |= trained.served.item_model.tables()
    again = fitted_model(
        made.graph, tables=tables, weights=to_bytes(trained.weights),
        components=components_to_bytes(trained.served),
        item_model=dict(trained.served.item_model.facts), user_text=made.user_text,
        item_text=made.item_text, config=made.config, scale=DATA,
    )  # fmt: skip
    shown = edges_of([0, 0, 1], [1, 5, 2], [5, 1, 4], [7e7, 8e7, 9e7])
    attributes = np.eye(2, TASTES, dtype=np.float32)
    profiles = made.user_text[:2]
    np.testing.assert_allclose(
        fold_in_users(again, profiles, shown, attributes=attributes),
        fold_in_users(made, profiles, shown, attributes=attributes), atol=1e-6,
    )  # fmt: skip
    for name, one in made.served.components.items():
        np.testing.assert_allclose(
            again.served.components[name].of_training(made.graph), one.of_training(made.graph),
            atol=1e-5,
        )  # fmt: skip


def test_vectors_of_another_training_are_refused(trained_model):
    made, trained = trained_model
    with pytest.raises(DataError, match="components have"):
        sum_from_bytes(
            components_to_bytes(trained.served), user_vectors=trained.user_vectors[:, :4],
            item_vectors=trained.item_vectors[:, :4], item_model=None, config=made.config,
            scale=DATA,
        )  # fmt: skip
    with pytest.raises(DataError, match="does not say"):
        sum_from_bytes(
            to_bytes(trained.weights), user_vectors=trained.user_vectors,
            item_vectors=trained.item_vectors, item_model=None, config=made.config, scale=DATA,
        )  # fmt: skip
