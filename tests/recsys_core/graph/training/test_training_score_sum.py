"""The sum of network and components: its floor, its parts, and what serves it."""

import json

import numpy as np
import pytest

from recsys_core.graph.components.dot_products import lightgcn
from recsys_core.graph.components.dot_products.base import COMPONENTS, NETWORK
from recsys_core.graph.components.item_model import ItemToItemModel
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.graph.training.early_stopping import Validator
from recsys_core.graph.training.score_sum import Choice, ScoreSum, histories_of
from recsys_core.graph.training.trainer import Trained
from tests.graph_world import ALONE, CONFIGS, DATA, N_ITEMS, N_USERS, edges_of, planted, run

NO_TEXT = np.zeros((N_ITEMS, 6), np.float32)
SHAPE = (N_USERS, N_ITEMS)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return run(CONFIGS["best"], item_vectors=NO_TEXT)


def scores(one: ScoreSum, known: Edges) -> Floats:
    total = one.user_vectors @ one.item_vectors.T
    assert one.item_model is not None
    rated = histories_of(known, SHAPE, CONFIGS["best"].neutral_weight, DATA)
    return total + one.item_model.scores(rated, np.arange(N_USERS))


def ndcg(found: Floats, known: Edges, held_out: Edges) -> float:
    validator = Validator(known, held_out, n_items=N_ITEMS, scale=DATA)
    return validator.ndcg(found, np.eye(N_ITEMS, dtype=np.float32))


def test_on_validation_the_sum_is_not_behind_its_best_component(trained: Trained) -> None:
    graph, valid, _ = planted()
    alone = trained.facts["valid_ndcg_alone"]
    assert {NETWORK, "lightgcn", "local_ease"} <= alone.keys()
    found = ndcg(scores(trained.search, graph.edges), graph.edges, valid)
    assert found >= max(alone.values()) - 0.005, "ties and the cut may cost a little"
    assert trained.facts["valid_ndcg_of_sum"] >= max(alone.values()) - 1e-6


def test_the_final_sum_ranks_the_test_rows_far_above_chance(trained: Trained) -> None:
    graph, valid, test = planted()
    known = graph.edges.joined(valid)
    found = ndcg(scores(trained.served, known), known, test)
    chance = ndcg(np.random.default_rng(0).normal(size=SHAPE).astype(np.float32), known, test)
    assert chance + 0.2 < found < 0.999


@pytest.mark.parametrize("effort", ["quick", "thorough"])
def test_on_dense_data_lightgcn_is_tried_as_far_as_the_effort_reaches(monkeypatch, effort) -> None:
    monkeypatch.setattr(lightgcn, "SPARSE_BELOW", 5.0)  # of the planted graph, which has 12
    monkeypatch.setattr(lightgcn, "_COST", 100_000)  # 60 interactions, and 3,000
    found = run(CONFIGS["best"].model_copy(update={"effort": effort, "retrain": False}))
    tried = "lightgcn" in found.facts["valid_ndcg_alone"]
    assert tried == (effort == "thorough")
    assert ("lightgcn" in found.facts["components_missing"]) != tried


def test_every_component_has_a_value_or_a_reason(trained: Trained) -> None:
    facts = trained.facts
    named = facts["valid_ndcg_alone"].keys() | facts["components_missing"].keys()
    assert set(COMPONENTS) <= named
    assert facts["components_missing"]["local_ease_features"], "there are no features"


def test_the_network_never_falls_silent(trained: Trained) -> None:
    assert trained.served.weights[NETWORK] > 0
    assert np.ptp(trained.served.item_vectors[:, 0]) > 0


def test_a_choice_read_back_from_json_gives_the_same_sum(trained: Trained) -> None:
    choice = Choice(**json.loads(json.dumps(trained.facts["choice"])))
    graph, valid, _ = planted()
    whole = graph.with_edges(graph.edges.joined(valid))
    again = run(
        CONFIGS["best"], graph=whole, valid=Edges.empty(), epochs=trained.best_epoch,
        item_vectors=NO_TEXT, choice=choice,
    )  # fmt: skip
    np.testing.assert_allclose(
        scores(again.served, whole.edges), scores(trained.served, whole.edges), rtol=1e-4, atol=1e-4
    )


def test_the_item_to_item_part_survives_its_tables(trained: Trained) -> None:
    model, (graph, _, _) = trained.search.item_model, planted()
    assert model is not None
    facts = json.loads(json.dumps(model.facts))
    again = ItemToItemModel.from_tables(model.tables(), facts)
    rated = histories_of(graph.edges, SHAPE, 0.5, DATA)
    users = np.arange(N_USERS)
    np.testing.assert_array_equal(again.scores(rated, users), model.scores(rated, users))


def test_without_validation_a_tenth_is_held_out_to_choose() -> None:
    graph, valid, _ = planted()
    whole = graph.with_edges(graph.edges.joined(valid))
    found = run(CONFIGS["best"], graph=whole, valid=Edges.empty(), epochs=3, item_vectors=NO_TEXT)
    assert found.facts["valid_ndcg_of_sum"] > 0
    assert found.facts["epochs_rule"] == "number of epochs given"


def test_unary_data_without_times_need_no_dislikes_and_no_order() -> None:
    graph, valid, _ = planted()
    parts = [one.liked(DATA) for one in (graph.edges, valid)]
    train, held_out = (edges_of(one.users, one.items, 5) for one in parts)
    found = run(
        CONFIGS["best"], graph=graph.with_edges(train), valid=held_out, item_vectors=NO_TEXT
    )
    missing = found.facts["components_missing"]
    assert missing["residual_ease"] == "all ratings are equal"
    assert missing["temporal_popularity"] == "all known times lie within a week"
    assert "order" in missing["transitions"]
    assert found.facts["valid_ndcg_of_sum"] >= max(found.facts["valid_ndcg_alone"].values()) - 1e-6


def test_the_network_alone_has_no_choice() -> None:
    found = run(ALONE.model_copy(update={"max_epochs": 2}))
    assert found.facts["choice"] is None
    assert found.served.item_model is None
    assert found.served.weights == {NETWORK: 1.0}
