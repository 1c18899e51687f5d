"""The two ways to train the network, and the rule that tells which one data ask for.

Dense ratings (MovieLens) want a short training on all users at once with much dropout, since a user
is known by many ratings; on sparse interactions (review data) that leaves the network far behind a
LightGCN, whose recipe closes the gap (docs/experiments.md, 2026-11-29): id vectors that start from
as many singular vectors as they are wide, flat attention, no biases, no dropout, sharp temperature,
some hundred steps of a batch of users against sampled items.
"""

import math
from typing import Any, Final, Literal

SPARSE_BELOW: Final = 23.0
"""Interactions per node (geometric mean) below which data are sparse: halfway, in logarithms,
between those that the two recipes were found on."""
SPARSE_USERS: Final = 2_000
"""Users below whom the network is trained as on dense data all the same: of a thousand users the
sparse recipe is behind at every density (docs/experiments.md, 2026-11-30; its steps are batches of
a thousand). Of four thousand it depends on the data, so that validation has to say."""
_SPARSE, _DENSE = 15.0, 35.0
"""Interactions per node between which the temperature rises."""
_TEMPERATURES: Final = 0.12, 0.2
STEPS: Final = 300
"""Steps of the sparse recipe; effort `quick` takes half of them."""
STEPS_OF_AN_EPOCH: Final = 30
"""Steps of an epoch at most: each passes messages on the whole graph."""
LEAST_USERS: Final = 1_024
"""Users of a step at least."""
_FEW_RATINGS: Final = 100_000


def recipe_of(density: float, users: int) -> Literal["dense", "sparse"]:
    """The recipe for so many interactions per node, and users."""
    return "sparse" if density < SPARSE_BELOW and users >= SPARSE_USERS else "dense"


def dense_recipe(ratings: int) -> dict[str, Any]:
    """Fields of `GraphConfig` that are left open, for a training on so many ratings.

    The more ratings there are, the sharper may the model tell items apart, and the longer does it
    learn to.
    """
    growth = max(1.0, ratings / _FEW_RATINGS) ** 0.2
    return {
        "layers": 3, "dropout": 0.2, "id_dimensions": 16, "item_bias": True,
        "temperature": 0.25 / growth, "users_per_step": 0, "cold_start_dropout_users": 0.35,
        "cold_start_dropout_items": 0.05, "learning_rate": 1e-2, "max_epochs": round(60 * growth),
    }  # fmt: skip


def sparse_recipe(
    density: float, users: int, *, width: int, at_once: int | None, quick: bool
) -> dict[str, Any]:
    """Fields of `GraphConfig` that are left open, for few interactions per node.

    Args:
        density: interactions per node.
        users: users of training.
        width: of the vectors.
        at_once: users per step as configured; 0 for all, None for what the recipe says.
        quick: whether half of the steps will do.
    """
    size = users_per_step(users) if at_once is None else at_once or users
    an_epoch = max(1, math.ceil(users / max(1, size)))
    return {
        "layers": 2, "dropout": 0.0, "id_dimensions": width, "item_bias": False,
        "temperature": sparse_temperature(density), "users_per_step": size,
        "cold_start_dropout_users": 0.0, "cold_start_dropout_items": 0.0, "learning_rate": 5e-3,
        "max_epochs": math.ceil((STEPS // 2 if quick else STEPS) / an_epoch),
    }  # fmt: skip


def users_per_step(users: int) -> int:
    """Users of a step of the sparse recipe."""
    return max(LEAST_USERS, math.ceil(users / STEPS_OF_AN_EPOCH))


def sparse_temperature(density: float) -> float:
    """Temperature of the sparse recipe for so many interactions per node."""
    return _TEMPERATURES[0] + share_of_dense(density) * (_TEMPERATURES[1] - _TEMPERATURES[0])


def share_of_dense(density: float) -> float:
    """0 up to 15 interactions per node, 1 from 35 on, by their logarithm between."""
    share = math.log(max(density, 1.0) / _SPARSE) / math.log(_DENSE / _SPARSE)
    return min(1.0, max(0.0, share))
