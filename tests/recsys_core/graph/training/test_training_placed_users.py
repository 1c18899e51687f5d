"""Users of training whom lists place by more, or by less, than the model learned."""

import numpy as np
import pytest

from recsys_core.graph.inference.fold_in import fold_in_users
from recsys_core.graph.interaction_graph import Edges
from recsys_core.graph.training.placed_users import same_pairs
from recsys_core.graph.training.trainer import Trained
from tests.graph_world import CONFIGS, DATA, N_ITEMS, fitted_of, planted, run, texts

GRAPH, VALID, _ = planted()
KNOWN = GRAPH.edges.joined(VALID)


@pytest.fixture(scope="module", params=["best", "sparse"])
def placed(request) -> Trained:
    return run(CONFIGS[request.param], learn_valid=False, shown=KNOWN)


def folded(trained: Trained, shown: Edges):
    made = fitted_of(trained)
    return fold_in_users(made, texts()[0], shown, attributes=GRAPH.user_attributes)


def test_lists_place_users_by_all_that_is_shown(placed: Trained) -> None:
    found = folded(placed, KNOWN)
    np.testing.assert_allclose(placed.served.user_vectors, found, atol=1e-5)
    # The users of the validation rows, and nobody else, stand elsewhere than the search saw them.
    moved = ~np.isclose(found, placed.search.user_vectors, atol=1e-5).all(1)
    assert set(np.flatnonzero(moved)) == set(VALID.users.tolist())


def test_choices_are_made_with_users_who_are_folded_in_too(placed: Trained) -> None:
    found = folded(placed, GRAPH.edges)
    np.testing.assert_allclose(placed.search.user_vectors, found, atol=1e-5)
    assert placed.facts["users_placed_by"] == "what is shown"
    settings = placed.facts["choice"]["settings"]
    assert settings.get("lightgcn", {"decay": 1.0})["decay"], "no user stands as trained"


def test_where_train_alone_teaches_nothing_is_trained_twice(placed: Trained) -> None:
    np.testing.assert_array_equal(placed.served.item_vectors, placed.search.item_vectors)
    assert placed.curves["phase"].unique().to_list() == ["search"]


@pytest.mark.parametrize("shown", [None, GRAPH.edges])
def test_users_stand_as_trained_where_no_more_is_shown(shown: Edges | None) -> None:
    trained = run(CONFIGS["best"], learn_valid=False, shown=shown)
    np.testing.assert_array_equal(trained.served.user_vectors, trained.search.user_vectors)
    assert trained.facts["users_placed_by"] == "what they were trained with"


def test_a_model_of_both_parts_shows_both() -> None:
    both = run(CONFIGS["best"], shown=KNOWN)
    plain = run(CONFIGS["best"])
    np.testing.assert_array_equal(both.served.user_vectors, plain.served.user_vectors)


def test_what_is_shown_counts_where_nothing_is_held_out_either() -> None:
    some = GRAPH.edges.where(GRAPH.edges.users % 2 == 0)
    trained = run(CONFIGS["best"], valid=Edges.empty(), epochs=3, shown=some)
    np.testing.assert_allclose(trained.served.user_vectors, folded(trained, some), atol=1e-5)


def test_pairs_are_compared_whatever_their_order_and_rating() -> None:
    backwards = GRAPH.edges.where(np.arange(len(GRAPH.edges))[::-1])
    assert same_pairs(GRAPH.edges, backwards, N_ITEMS)
    assert not same_pairs(GRAPH.edges, GRAPH.edges.liked(DATA), N_ITEMS)
