"""What ranks for users of whom attributes are all there is: EASE, and popularity."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recsys_core.graph.components.histories import Histories, InputRows
from recsys_core.graph.components.item_maps import Vectors
from recsys_core.graph.components.item_model import BESIDE_ATTRIBUTES, ItemToItemModel
from recsys_core.graph.components.selection.candidate_pool import Target
from recsys_core.graph.training.described_newcomers import (
    popularity_beside_attributes,
    weight_of_attributes,
)
from recsys_core.graph.training.score_sum import item_scores

USERS, ITEMS = 30, 25
LIKED = np.random.default_rng(0).random((USERS, ITEMS)) < 0.2
POPULAR = np.linspace(0, 1, ITEMS, dtype=np.float32)


def nobody() -> InputRows:
    nothing = np.empty(0, np.int64)
    return InputRows(
        histories=Histories(
            users=nothing, items=nothing, shape=(USERS, ITEMS),
            weights=np.empty(0, np.float32), liked=np.empty(0, np.bool_),
        )
    )  # fmt: skip


def model(popular: np.ndarray = POPULAR) -> ItemToItemModel:
    return ItemToItemModel(
        maps={}, low_rank={}, prior=np.zeros(ITEMS, np.float32), newcomers=popular, usual=None,
        facts={},
    )  # fmt: skip


def judged_by(liked: np.ndarray) -> Target:
    return Target(
        rows=nobody(), users=np.arange(USERS), relevant=sparse.csr_matrix(liked, dtype=np.float32),
        k=5,
    )  # fmt: skip


def factor(liked: np.ndarray, described: np.ndarray, popular: np.ndarray = POPULAR) -> float:
    vectors = {
        "network": Vectors(users=described.astype(np.float32), items=np.eye(ITEMS, dtype="f4")),
        "idle": Vectors(users=np.ones((USERS, 1), "f4"), items=1 - POPULAR[:, None]),
    }
    weights = {"network": 2.0, "idle": 0.0}
    return popularity_beside_attributes(vectors, weights, model(popular), judged_by(liked))


def test_attributes_that_know_better_are_left_alone() -> None:
    assert factor(LIKED, LIKED) == 0.0


def test_what_is_popular_ranks_where_attributes_say_little() -> None:
    head = np.tile(np.arange(ITEMS) >= ITEMS - 5, (USERS, 1))
    noise = np.random.default_rng(1).standard_normal((USERS, ITEMS))
    assert factor(head, noise) * POPULAR.std() > 2 * noise.std()
    assert factor(head, np.zeros((USERS, ITEMS))) > 0, "attributes may say nothing at all"
    assert factor(head, noise, np.zeros(ITEMS, np.float32)) == 0.0, "nor may popularity"


@pytest.mark.parametrize("share", [None, 0.0, 0.5])
def test_the_share_that_was_chosen_is_served(share) -> None:
    served = replace(model(), facts={} if share is None else {BESIDE_ATTRIBUTES: share})
    users = np.arange(3)
    known = item_scores(served, nobody(), True, users)
    np.testing.assert_allclose(known, np.tile((share or 0.0) * POPULAR, (3, 1)))
    np.testing.assert_array_equal(item_scores(served, nobody(), False, users)[0], POPULAR)


def attributes_weight(ease: np.ndarray, *, judged: bool = True) -> float:
    """Weight of EASE beside a network that is always right and has a weight of 2."""
    vectors = {
        "network": Vectors(users=LIKED.astype(np.float32), items=np.eye(ITEMS, dtype="f4")),
        "ease": Vectors(users=ease.astype(np.float32), items=np.eye(ITEMS, dtype="f4")),
    }
    weights, least = {"network": 2.0, "ease": 0.0}, {"network": 1e-4, "ease": 1e-4}
    silent = model(np.zeros(ITEMS, np.float32))
    return weight_of_attributes(
        vectors, weights, least, silent, judged_by(LIKED) if judged else None
    )


def test_attributes_get_what_users_with_ratings_do_not_mind() -> None:
    assert attributes_weight(LIKED) == pytest.approx(10.0), "five times the network's spread"
    wrong = np.random.default_rng(2).standard_normal((USERS, ITEMS))
    assert attributes_weight(wrong) == pytest.approx(0.4)
    assert attributes_weight(10 * wrong) == pytest.approx(5e-4), "users mind the smallest share"
    assert attributes_weight(wrong, judged=False) == pytest.approx(5e-4)
