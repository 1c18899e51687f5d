"""Users placed from stored arrays have the vectors that fold-in on the whole graph gives them."""

import numpy as np
import pytest

from recsys_core.errors import ConfigError
from recsys_core.graph.components.dot_products.base import COMPONENTS, NETWORK
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.inference.extract import columns_of, user_placing
from recsys_core.graph.inference.fold_in import FittedModel, fold_in_users
from recsys_core.graph.inference.user_placing import UserPlacing
from recsys_core.graph.interaction_graph import Edges, Floats, no_attributes
from recsys_core.graph.training.score_sum import Choice, histories_of
from tests.graph_world import (
    CONFIGS,
    DATA,
    N_ITEMS,
    edges_of,
    every_component,
    fitted_of,
    planted,
    run,
    settings_of,
    texts,
)

EVERY = {name: 1.0 + at for at, name in enumerate((NETWORK, *COMPONENTS))}
DAY = 86_400.0


def fitted(preset: str, **changes: object) -> FittedModel:
    choice = every_component(decay=0.8)
    config = CONFIGS[preset].model_copy(update=changes)
    components = {"choice": choice} if config.components else {}
    return learned(config, valid=Edges.empty(), epochs=4, **components)


def learned(config: GraphConfig, **changes: object) -> FittedModel:
    return fitted_of(run(config, **changes), changes.get("graph"))


def newcomers(count: int = 7) -> Edges:
    """The first has no rating, the second one, the third six, and so on."""
    rng = np.random.default_rng(3)
    sizes = np.array([0, 1, 6, 9, 20, 3, 2])[:count]
    users = np.repeat(np.arange(count), sizes)
    items = np.concatenate([rng.permutation(N_ITEMS)[:size] for size in sizes])
    ratings = rng.integers(1, 6, len(users)).astype(np.float32)
    return edges_of(users, items, ratings, 1e9 + DAY * rng.permutation(len(users)))


def placed(made: FittedModel, placing: UserPlacing, texts_of: Floats, edges: Edges) -> Floats:
    shape = len(texts_of), N_ITEMS
    rated = histories_of(edges, shape, made.config.neutral_weight, DATA)
    return placing.vectors(texts_of, rated, edges, no_attributes(len(texts_of)), DATA)


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("best", {}),
        ("paper", {}),
        ("sparse", {"components": False}),
        ("best", {"components": False, "feature_transform": True, "layers": 2}),
        ("best", {"components": False, "edges": "liked", "symmetric_normalization": False}),
    ],
)
def test_vectors_are_those_of_fold_in_on_the_whole_graph(preset, changes):
    made, edges = fitted(preset, **changes), newcomers()
    profiles = np.random.default_rng(5).normal(size=(7, texts()[0].shape[1])).astype(np.float32)
    placing = UserPlacing.from_bytes(user_placing(made).to_bytes())
    expected = fold_in_users(made, profiles, edges)
    np.testing.assert_allclose(placed(made, placing, profiles, edges), expected, atol=1e-5)
    # A user's vector rests on nobody who is placed at the same time.
    alone = edges.where(edges.users == 3)
    alone = edges_of(0 * alone.users, alone.items, alone.ratings, alone.times)
    own = placed(made, placing, profiles[3:4], alone)
    np.testing.assert_allclose(own[0], expected[3], atol=1e-5)


def test_attributes_count_as_in_fold_in():
    graph, _, _ = planted()
    plan = np.eye(4, dtype=np.float32)[np.arange(graph.n_users) % 4]
    choice = Choice(
        weights={NETWORK: 1.0, "ease": 5.0}, settings=settings_of(),
        item_model={"effort": "quick", "seed": 0, "components": {}, "cut": {}},
    )  # fmt: skip
    given = {"graph": type(graph)(**{**vars(graph), "attributes": plan}), "choice": choice}
    made = learned(CONFIGS["best"], valid=Edges.empty(), epochs=2, **given)
    profiles, edges = np.zeros((7, made.user_text.shape[1]), np.float32), newcomers()
    placing = user_placing(made)
    rated = histories_of(edges, (7, N_ITEMS), 0.5, DATA)
    found = placing.vectors(profiles, rated, edges, plan[:7], DATA)
    expected = fold_in_users(made, profiles, edges, attributes=plan[:7])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_every_component_says_how_it_places_users():
    made = fitted("best")
    assert set(made.served.components) == set(COMPONENTS)
    assert len(user_placing(made).columns) == len(COMPONENTS)
    with pytest.raises(ConfigError, match="does not say how later users are placed"):
        columns_of(object())  # type: ignore[arg-type]


def test_another_file_is_refused():
    with pytest.raises(ConfigError, match="train again"):
        UserPlacing.from_bytes(b"\x02\0\0\0\0\0\0\0{}")
