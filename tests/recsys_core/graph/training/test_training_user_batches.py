"""Batches of users: the loss that they share, and what the sparse recipe makes of planted data."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys_core.graph import recipes
from recsys_core.graph.training import user_batches as module
from recsys_core.graph.training.batching import FullBatch, steps_of
from recsys_core.graph.training.early_stopping import Validator
from recsys_core.graph.training.factory import model_of
from recsys_core.graph.training.user_batches import UserBatches
from tests.graph_world import CONFIGS, DATA, N_ITEMS, planted, run, spec_of

SPARSE = CONFIGS["sparse"]


def test_every_user_with_a_target_is_seen_once_in_an_epoch(monkeypatch) -> None:
    spec = spec_of(SPARSE)
    steps = steps_of(spec, torch.Generator().manual_seed(0))
    assert isinstance(steps, UserBatches)
    seen: list[int] = []
    targets = UserBatches._targets

    def noted(self: UserBatches, users: torch.Tensor) -> object:
        seen.extend(users.tolist())
        return targets(self, users)

    monkeypatch.setattr(UserBatches, "_targets", noted)
    losses = list(steps.losses(model_of(spec)))
    assert len(losses) == steps.count == 3
    liked = np.unique(spec.graph.edges.where(spec.graph.edges.ratings > 2).users)
    assert sorted(seen) == liked.tolist()


def test_all_users_against_all_items_are_the_full_softmax() -> None:
    spec = spec_of(SPARSE)
    spec = replace(spec, config=spec.config.model_copy(update={"users_per_step": 1000}))
    model = model_of(spec)
    ours, _ = next(UserBatches(spec, torch.Generator().manual_seed(0)).losses(model))
    whole, _ = next(FullBatch(spec, torch.Generator()).losses(model))
    assert ours.item() == pytest.approx(whole.item(), rel=1e-5)


def test_sampled_items_estimate_the_loss(monkeypatch) -> None:
    spec = spec_of(SPARSE)
    spec = replace(spec, config=spec.config.model_copy(update={"users_per_step": 1000}))
    model = model_of(spec)
    whole, _ = next(UserBatches(spec, torch.Generator().manual_seed(0)).losses(model))
    monkeypatch.setattr(module, "CANDIDATES", N_ITEMS // 2)
    steps = UserBatches(spec, torch.Generator().manual_seed(0))
    drawn = [next(steps.losses(model))[0].item() for _ in range(20)]
    assert np.std(drawn) > 0
    # The logarithm of an estimated sum is too small in the mean, the less the more are drawn.
    assert whole.item() - 0.5 < np.mean(drawn) < whole.item()


def test_the_sparse_recipe_learns_the_planted_taste_and_repeats_itself() -> None:
    config = SPARSE.model_copy(update={"components": False, "max_epochs": 12})
    one, other = run(config), run(config)
    assert np.array_equal(one.user_vectors, other.user_vectors)
    assert one.facts["recipe"] == "sparse"
    assert "item_bias" not in one.weights
    graph, _, test = planted()
    score = Validator(graph.edges, test, n_items=N_ITEMS, scale=DATA)
    found = score.ndcg(one.search.user_vectors, one.search.item_vectors)
    rng = np.random.default_rng(0)
    chance = score.ndcg(rng.permutation(one.search.user_vectors), one.search.item_vectors)
    assert chance + 0.2 < found < 0.999
    assert np.isfinite(one.user_vectors).all(), "also of the user and the item without an edge"


@pytest.mark.parametrize("sparse_is_lamed", [False, True])
def test_between_the_recipes_validation_decides(monkeypatch, sparse_is_lamed: bool) -> None:
    monkeypatch.setattr(recipes, "SPARSE_USERS", 10)  # of the planted graph, which has 40
    if sparse_is_lamed:
        monkeypatch.setattr(recipes, "_TEMPERATURES", (50.0, 50.0))
        monkeypatch.setattr(recipes, "STEPS", 1)
    config = SPARSE.model_copy(
        update={"recipe": "auto", "effort": "standard", "components": False, "max_epochs": None}
    )
    trained = run(config)
    values = trained.facts["valid_ndcg_of_recipes"]
    assert set(values) == {"sparse", "dense"}
    best = max(values, key=values.get)
    assert not sparse_is_lamed or best == "dense"
    assert trained.facts["recipe"] == trained.config.recipe == best
    assert trained.facts["valid_ndcg"] == values[best]
    assert ("item_bias" in trained.weights) == (best == "dense")
    assert set(trained.curves["phase"]) == {"search", "final"}
    quick = run(config.model_copy(update={"effort": "quick", "max_epochs": 2}))
    assert quick.facts["recipe"] == "sparse"
    assert "valid_ndcg_of_recipes" not in quick.facts
