"""How much is tried before the settings and the weights of the components are chosen."""

from dataclasses import dataclass
from typing import Final, Literal

Effort = Literal["quick", "standard", "thorough"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one effort may spend; counts, not seconds, so that equal data give equal choices.

    Attributes:
        values: values tried of each parameter, from the middle of its list outwards.
        refine: whether a parameter on a ladder is tried half a rung up and down, too.
        fitted: interactions that all fits of one component may read together: a large data set
            tries fewer settings, and leaves out what reads the data many times.
        users: validation users at most.
        scores: scores (users x items) of one evaluation at most; bounds the users, too.
        weights: tries of the search for the weights of the sum.
        width: neighbours listed per item.
        row: entries that a component keeps per rated item.
        exact: rows of the largest matrix that exact EASE inverts, whatever the memory.
        pursued: share of the best component's NDCG below which another one is fitted with the
            middle of its settings alone.
        dense: multiplications (the cube of the rows) of all the inverses of one component: a
            large catalogue tries fewer settings.
    """

    values: int
    refine: bool
    fitted: int
    users: int
    scores: int
    weights: int
    width: int
    row: int
    exact: int
    dense: float
    pursued: float


BUDGETS: Final[dict[Effort, Budget]] = {
    "quick": Budget(
        values=2, refine=False, fitted=6_000_000, users=3_000, scores=60_000_000,
        weights=150, width=200, row=300, exact=2_000, dense=2e10,
        pursued=0.9,
    ),
    "standard": Budget(
        values=3, refine=True, fitted=30_000_000, users=6_000, scores=200_000_000,
        weights=300, width=300, row=500, exact=5_000, dense=4e11,
        pursued=0.9,
    ),
    "thorough": Budget(
        values=5, refine=True, fitted=300_000_000, users=30_000, scores=1_000_000_000,
        weights=800, width=500, row=1_000, exact=15_000, dense=3e13,
        pursued=0.5,
    ),
}  # fmt: skip
"""By `graph.effort`."""

LEAST_USERS: Final = 200
"""Validation users of an evaluation, however many items there are: NDCG needs some to mean
anything."""


def validation_users(budget: Budget, n_items: int) -> int:
    """Users that an evaluation of `n_items` items may score."""
    return max(LEAST_USERS, min(budget.users, budget.scores // max(n_items, 1)))
