from dataclasses import replace

import numpy as np
import pytest

from recsys_core.graph.components.dot_products.ease import EaseComponent, ease_component
from recsys_core.graph.components.effort import BUDGETS
from recsys_core.graph.interaction_graph import Edges, Floats, no_attributes
from recsys_core.graph.training.spec import TrainingSpec
from tests.graph_world import CONFIGS, DATA, N_ITEMS, N_USERS, TASTES, spec_of

SETTINGS = {"lambda": 100.0, "likeness": 1.0, "sharpness": 3.0, "rank": 12.0}


def fitted(spec: TrainingSpec) -> EaseComponent:
    prepared = ease_component(spec)
    assert not isinstance(prepared, str)
    assert ("likeness" in prepared.grid) == bool(spec.item_text.any())
    part = prepared.fit({name: SETTINGS[name] for name in prepared.grid})
    assert isinstance(part, EaseComponent)
    return part


def test_it_can_be_repeated_and_needs_no_users_of_training() -> None:
    spec = spec_of(CONFIGS["best"])
    one, other = (fitted(spec) for _ in range(2))
    assert np.array_equal(one.rated, other.rated)
    edges = spec.graph.edges
    first, everybody = edges.where(edges.users < 5), one.users(edges, no_attributes(N_USERS))
    assert np.array_equal(one.users(first, no_attributes(5)), everybody[:5])
    assert not one.users(first, no_attributes(6))[5].any()


def test_beyond_effort_memory_or_data_there_is_none_and_it_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = spec_of(CONFIGS["best"])
    small = spec.config.model_copy(update={"memory": 1e-6})
    assert "GiB" in str(ease_component(replace(spec, config=small)))
    quick = replace(BUDGETS["quick"], exact=N_ITEMS - 1)
    monkeypatch.setitem(BUDGETS, "quick", quick)
    assert "local EASE stands in" in str(ease_component(spec))


def test_a_large_catalogue_tries_fewer_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(CONFIGS["best"])
    prepared = ease_component(spec)
    assert not isinstance(prepared, str)
    assert prepared.fits > 10
    monkeypatch.setitem(BUDGETS, "quick", replace(BUDGETS["quick"], dense=1.0))
    assert prepared.fits == 1


def tastes(n_users: int) -> Floats:
    """What a user likes, told by an attribute each: user n likes the items of taste n % TASTES."""
    return np.eye(TASTES, dtype=np.float32)[np.arange(n_users) % TASTES]


def told(weight: float) -> TrainingSpec:
    """The planted graph whose users' tastes are known; texts, which are noise there, are not."""
    spec = spec_of(CONFIGS["best"].model_copy(update={"user_attributes_weight": weight}))
    graph = replace(spec.graph, attributes=tastes(N_USERS))
    return replace(spec, graph=graph, item_text=0 * spec.item_text)


def test_attributes_alone_place_a_user_who_has_rated_nothing() -> None:
    part = fitted(told(2.0))
    scores = part.users(Edges.empty(), tastes(TASTES)) @ part.items.T
    best = np.argsort(-scores[:, :-1], axis=1)[:, :8] % TASTES  # the last item has no edge
    share = (best == np.arange(TASTES)[:, None]).mean()
    assert share > 0.9, "of four tastes, chance is .25"


def test_attributes_count_the_more_the_heavier_and_not_at_all_without_weight() -> None:
    sizes = []
    for weight in (0.0, 0.1, 2.0):
        part = fitted(told(weight))
        placed = part.users(Edges.empty(), tastes(TASTES)) @ part.items.T
        assert placed.shape == (TASTES, N_ITEMS)
        sizes.append(np.abs(placed).max())
    assert sizes[0] == 0
    assert sizes[1] < sizes[2]


def test_of_whom_nothing_is_known_the_ratings_still_tell() -> None:
    spec = told(2.0)
    part = fitted(spec)
    edges = spec.graph.edges
    nobody = part.users(edges, no_attributes(N_USERS))
    zeros = part.users(edges, np.zeros((N_USERS, TASTES), np.float32))
    assert np.array_equal(nobody, zeros)
    assert nobody[np.unique(edges.liked(DATA).users)].any(axis=1).all()
