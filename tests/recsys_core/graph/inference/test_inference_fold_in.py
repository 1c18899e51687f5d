from dataclasses import replace

import numpy as np
import pytest

from recsys_core.errors import ConfigError, DataError
from recsys_core.graph.components.dot_products.base import NETWORK
from recsys_core.graph.inference.fold_in import FittedModel, fold_in_users
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.graph.training.score_sum import Choice, histories_of
from recsys_core.graph.training.trainer import Trained
from tests.graph_world import (
    CONFIGS,
    DATA,
    N_ITEMS,
    N_USERS,
    TASTES,
    edges_of,
    fitted_of,
    planted,
    run,
    settings_of,
    texts,
)


@pytest.fixture(scope="module", params=["best", "paper"])
def known(request):
    return learned(request.param, texts()[1])


def learned(preset: str, items: Floats) -> tuple[FittedModel, Trained]:
    trained = run(CONFIGS[preset], valid=Edges.empty(), epochs=20, item_vectors=items)
    return fitted_of(trained, item_text=items), trained


def shown(*rows: tuple[int, int, float]) -> Edges:
    users, items, ratings = zip(*rows, strict=True) if rows else ((), (), ())
    return edges_of(users, items, ratings)


def test_a_user_without_edges_is_placed_as_training_placed_one(known):
    made, trained = known
    # The last user of training has no edge either: the profile alone says where it belongs.
    placed = fold_in_users(made, made.user_text[-1:], Edges.empty())
    np.testing.assert_allclose(placed[0], trained.user_vectors[-1], atol=1e-5)


def test_new_users_change_nobody_else(known):
    made, trained = known
    profiles = np.zeros((3, made.user_text.shape[1]), np.float32)
    rows = shown((0, 1, 5.0), (0, 5, 5.0), (1, 2, 4.0), (2, 1, 1.0))
    together = fold_in_users(made, profiles, rows)
    alone = fold_in_users(made, profiles[:1], shown((0, 1, 5.0), (0, 5, 5.0)))
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)
    assert together.shape == (3, trained.user_vectors.shape[1])


@pytest.mark.parametrize("preset", CONFIGS)
def test_what_is_shown_decides_what_comes_first(preset):
    # The texts of this world are noise, which `best` takes to say which items are alike.
    made, trained = learned(preset, 0 * texts()[1])
    profiles = np.zeros((TASTES, made.user_text.shape[1]), np.float32)
    rows = [(taste, taste + TASTES * n, 5.0) for taste in range(TASTES) for n in range(3)]
    scores = fold_in_users(made, profiles, shown(*rows)) @ trained.item_vectors.T
    if (model := made.served.item_model) is not None:
        rated = histories_of(shown(*rows), (TASTES, N_ITEMS), 0.5, DATA)
        scores += model.scores(rated, np.arange(TASTES))
    best = np.argsort(-scores[:, :-1], axis=1)[:, :8] % TASTES  # the last item has no edge
    share = (best == np.arange(TASTES)[:, None]).mean()
    assert share > 0.6, "of four tastes, chance is .25"


def test_a_text_may_be_all_there_is(known):
    made, _ = known
    profiles = np.eye(2, made.user_text.shape[1], dtype=np.float32)
    one, other = fold_in_users(made, profiles, Edges.empty())
    assert not np.allclose(one, other)


def test_nobody_new_gives_no_vectors_of_the_right_width(known):
    made, trained = known
    placed = fold_in_users(made, made.user_text[:0], Edges.empty())
    assert placed.shape == (0, trained.user_vectors.shape[1])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(2, 0, 5.0)], "user number 2"),
        ([(-1, 0, 5.0)], "user number -1"),
        ([(0, N_ITEMS, 5.0)], f"item number {N_ITEMS}"),
        ([(0, 0, float("nan"))], "not a number"),
    ],
)
def test_wrong_ratings_are_refused(known, rows, message):
    made, _ = known
    with pytest.raises(DataError, match=message):
        fold_in_users(made, made.user_text[:2], shown(*rows))


def test_what_does_not_fit_the_model_is_refused(known):
    made, _ = known
    with pytest.raises(ConfigError, match="profile vectors have shape"):
        fold_in_users(made, made.user_text[:2, :3], Edges.empty())
    other = replace(made, config=made.config.model_copy(update={"hidden": 4}))
    with pytest.raises(ConfigError, match="weights do not fit"):
        fold_in_users(other, made.user_text[:2], Edges.empty())
    assert len(made.user_text) == N_USERS


def test_attributes_of_new_users_count_and_must_be_those_of_training():
    graph, _, _ = planted()
    plan = np.eye(TASTES, dtype=np.float32)[np.arange(N_USERS) % TASTES]
    graph = replace(graph, attributes=plan)
    users, items = texts()
    choice = Choice(
        weights={NETWORK: 1.0, "ease": 5.0},
        settings=settings_of(),
        item_model={"effort": "quick", "seed": 0, "components": {}, "cut": {}},
    )  # fmt: skip
    trained = run(CONFIGS["best"], graph=graph, valid=Edges.empty(), epochs=5, choice=choice)
    made = FittedModel(
        graph=graph, weights=trained.weights, user_text=users, item_text=items,
        config=trained.config, data=DATA, served=trained.served,
    )  # fmt: skip
    profiles = np.zeros((TASTES, users.shape[1]), np.float32)
    told = fold_in_users(made, profiles, Edges.empty(), attributes=plan[:TASTES])
    untold = fold_in_users(made, profiles, Edges.empty())
    assert told.shape == untold.shape == (TASTES, trained.user_vectors.shape[1])
    likes = told @ trained.item_vectors.T - untold @ trained.item_vectors.T
    assert (np.argmax(likes[:, :-1], axis=1) % TASTES == np.arange(TASTES)).all()
    # As training placed the last of its users, who has no edge either.
    again = fold_in_users(made, users[-1:], Edges.empty(), attributes=plan[-1:])
    np.testing.assert_allclose(again[0], trained.user_vectors[-1], atol=1e-5)
    with pytest.raises(ConfigError, match="attributes have shape"):
        fold_in_users(made, profiles, Edges.empty(), attributes=plan[:TASTES, :2])
    with pytest.raises(ConfigError, match="attributes have shape"):
        fold_in_users(made, profiles, Edges.empty(), attributes=plan[:2])
