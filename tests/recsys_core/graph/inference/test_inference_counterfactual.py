"""Scores under parts of a history, against `fold_in_users` and the item model part by part."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recsys_core.graph.components.histories import HistoryInput, UsualRatings
from recsys_core.graph.components.item_maps import ItemPrior, LowRankMap, SparseMap
from recsys_core.graph.components.item_model import ItemToItemModel, summed
from recsys_core.graph.inference.counterfactual import Counterfactuals
from recsys_core.graph.inference.fold_in import FittedModel, fold_in_users
from recsys_core.graph.interaction_graph import Edges, InteractionGraph
from recsys_core.graph.training.score_sum import histories_of, item_scores
from tests.graph_world import (
    CONFIGS,
    DATA,
    N_ITEMS,
    N_USERS,
    edges_of,
    every_component,
    fitted_of,
    planted,
    run,
    with_tastes,
)

EVERY_COMPONENT = every_component(decay=0.9)


def every_map(graph: InteractionGraph, neutral: float) -> ItemToItemModel:
    """Random maps of every kind and input."""
    rng = np.random.default_rng(5)
    square = sparse.random(N_ITEMS, N_ITEMS, 0.5, random_state=rng, dtype=np.float32)
    rated, scored = rng.standard_normal((2, N_ITEMS, 3)).astype(np.float32)
    fading, plain = HistoryInput(decay=0.7), HistoryInput()
    parts = [
        SparseMap(input=fading, weights=square.tocsr()),
        SparseMap(input=HistoryInput(kind="deviations", decay=0.8), weights=square.T.tocsr()),
        LowRankMap(input=plain, rated=rated, scored=scored),
        LowRankMap(input=fading, rated=scored, scored=rated),
        ItemPrior(values=rated[:, 0]),
    ]
    known = histories_of(graph.edges, (N_USERS, N_ITEMS), neutral, DATA)
    return summed([(one, 1.5) for one in parts], N_ITEMS, usual=UsualRatings.of(known, 5.0))


@pytest.fixture(scope="module", params=["best", "paper", "every component"])
def fitted(request) -> FittedModel:
    graph, valid, _ = planted()
    every = request.param == "every component"
    if every:
        graph = with_tastes(graph)
    changes = {"choice": EVERY_COMPONENT, "valid": Edges.empty(), "epochs": 5} if every else {}
    trained = run(CONFIGS["best" if every else request.param], graph=graph, **changes)
    served = trained.served
    if every:
        served = replace(served, item_model=every_map(graph, trained.config.neutral_weight))
    shown = graph.edges if every else graph.edges.joined(valid)
    return fitted_of(trained, graph.with_edges(shown), served=served)


def folded(model: FittedModel, user: int, shown: Edges) -> np.ndarray:
    """(n_items,) by the code that places new users.

    Another user comes along, whose ratings differ: ratings that are all alike would be unary.
    """
    rows = replace(shown, users=np.zeros(len(shown), np.int64))
    rows = rows.joined(edges_of([1, 1], [0, 1], [1, 5], [7, 7]))
    both = np.array([user, user])
    attributes = model.graph.user_attributes[both]
    vector = fold_in_users(model, model.user_text[both], rows, attributes=attributes)
    scores = vector[0] @ model.served.item_vectors.T
    if (maps := model.served.item_model) is not None:
        rated = histories_of(rows, (2, N_ITEMS), model.config.neutral_weight, DATA)
        known = model.graph.attributes is not None
        scores = scores + item_scores(maps, maps.rows(rated), known, np.arange(2))[0]
    return scores


def everybody(model: FittedModel):
    ready = Counterfactuals.of(model)
    return list(ready.users(model.graph.edges, model.user_text, model.graph.user_attributes))


def test_every_part_scores_as_fold_in_would_score_it(fitted):
    rng = np.random.default_rng(0)
    for user, history in list(enumerate(everybody(fitted)))[::8]:
        kept = rng.random((5, len(history))) < 0.6
        kept[0] = True
        expected = [folded(fitted, user, history.edges.where(one)) for one in kept]
        np.testing.assert_allclose(history.scores(kept), expected, atol=2e-4)
        some = np.array([3, 0, 17])
        np.testing.assert_allclose(
            history.scores(kept, some), np.array(expected)[:, some], atol=2e-4
        )


def test_a_drop_is_the_score_less_the_score_without(fitted):
    items = np.array([1, 30, 5])
    history = everybody(fitted)[3]
    whole = folded(fitted, 3, history.edges)[items]
    for place, drop in enumerate(history.drops(items)):
        others = np.arange(len(history)) != place
        without = folded(fitted, 3, history.edges.where(others))[items]
        np.testing.assert_allclose(drop, whole - without, atol=2e-4)


def test_contributions_add_up_to_the_score(fitted):
    items = np.arange(N_ITEMS)
    for history in everybody(fitted):
        found = history.contributions(items)
        np.testing.assert_allclose(found.total(), history.scores(history.whole)[0], atol=1e-4)


def test_the_attributes_and_the_time_have_their_own_part(fitted):
    found = everybody(fitted)[2].contributions(np.arange(N_ITEMS))
    known = fitted.graph.attributes is not None
    assert np.any(found.attributes) == known
    if known:
        assert np.any(found.time)


def test_a_history_without_ratings_keeps_what_is_known_of_the_user(fitted):
    nobody = everybody(fitted)[-1]
    assert len(nobody) == 0
    found = nobody.contributions(np.arange(N_ITEMS))
    assert found.ratings.shape == (0, N_ITEMS)
    np.testing.assert_allclose(found.total(), folded(fitted, N_USERS - 1, nobody.edges), atol=1e-4)
