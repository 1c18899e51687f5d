"""Whose lists are reranked: everybody's, those of cold users, or nobody's.

Reranking by profiles tends to help users with few interactions and to hurt the others, whose
graph vectors say more than any text about them. `auto` asks the validation split: a sample of users
is judged, and the policy with the best NDCG@10 at the configured weight is taken; on a tie the one
that leaves more to the graph. The lists must come from a model that has not seen the validation
ratings. Cold users are sampled first, since there are few; every user counts as often as the
stratum (cold or not) that it stands for, so that their large share of the sample decides nothing.
"""

from collections.abc import Mapping
from typing import Final, Literal, cast

import numpy as np
import polars as pl

from recsys_core.columns import (
    CHOSEN,
    CI_HIGH,
    CI_LOW,
    DIFFERENCE,
    POLICIES,
    POLICY,
    RANKING,
    USER,
    USERS,
    VALUE,
    WEIGHT,
    check,
)  # fmt: skip
from recsys_core.evaluation.metrics import NDCG, Bools, Floats
from recsys_core.evaluation.protocols import FULL, judge
from recsys_core.evaluation.significance import intervals
from recsys_core.interactions.feedback import is_liked
from recsys_core.rerank.config import FusionConfig
from recsys_core.rerank.fusion import fused_lists

Policy = Literal["none", "cold-only", "all"]
ORDER: Final[tuple[Policy, ...]] = ("none", "cold-only", "all")
"""From the one that leaves most to the graph."""
_K: Final = 10
_SWEEP: Final = tuple(step / 10 for step in range(1, 11))
_RESAMPLES: Final = 1000


def cold_users(users: pl.Series, known: pl.DataFrame, below: int) -> pl.Series:
    """Those of `users` with fewer than `below` interactions in `known`."""
    counted = known.group_by(USER).agg(pl.len().alias(USERS))
    busy = counted.filter(pl.col(USERS) >= below)[USER]
    return users.filter(~users.is_in(busy.implode()))


def reranked_users(
    policy: Policy, users: pl.Series, known: pl.DataFrame, config: FusionConfig
) -> pl.Series:
    """The users whose lists the judgements change.

    Args:
        policy: whose lists.
        users: everybody.
        known: interactions that the served lists are made from.
        config: the bound of cold users.
    """
    if policy == "all":
        return users
    return users.clear() if policy == "none" else cold_users(users, known, config.cold_below)


def sampled_users(
    candidates: pl.DataFrame,
    train: pl.DataFrame,
    valid: pl.DataFrame,
    *,
    like_from: float,
    cold_below: int,
    most: int,
    seed: int,
) -> pl.Series:
    """At most `most` users with a list and a liked validation item, cold ones first.

    Args:
        candidates: `columns.CANDIDATES` of the model fitted on `train` alone.
        train: training interactions.
        valid: validation interactions.
        like_from: lowest rating that counts as liked.
        cold_below: training interactions below which a user is cold.
        most: size of the sample.
        seed: of the sample.
    """
    users = _judgeable(candidates, valid, like_from)
    cold = cold_users(users, train, cold_below)
    warm = users.filter(~users.is_in(cold.implode()))
    rng = np.random.default_rng(seed)
    order = [pool.gather(rng.permutation(pool.len())) for pool in (cold, warm)]
    return pl.concat(order).head(most).sort()


def _judgeable(candidates: pl.DataFrame, valid: pl.DataFrame, like_from: float) -> pl.Series:
    liked = valid.filter(is_liked(like_from)).select(USER).unique()
    return liked.join(candidates, on=USER, how="semi")[USER].sort()


def fixed(policy: Policy, config: FusionConfig) -> pl.DataFrame:
    """`columns.POLICIES` of a policy that nothing was measured for."""
    weight = 0.0 if policy == "none" else config.llm_weight
    row = {POLICY: policy, WEIGHT: weight, USERS: 0, CHOSEN: True}
    return pl.DataFrame([{name: row.get(name) for name in POLICIES}], schema=dict(POLICIES))


def chosen(policies: pl.DataFrame) -> Policy:
    """The policy that a table of `columns.POLICIES` says was chosen."""
    return cast(Policy, policies.filter(CHOSEN)[POLICY].item())


def choose(
    candidates: pl.DataFrame,
    judged: pl.DataFrame,
    train: pl.DataFrame,
    valid: pl.DataFrame,
    *,
    like_from: float,
    config: FusionConfig,
    seed: int,
) -> pl.DataFrame:
    """Compare the policies, at the configured weight and over a sweep of weights.

    Args:
        candidates: `columns.CANDIDATES` of the model fitted on `train` alone.
        judged: `columns.JUDGED`: judgements of sampled users' candidates.
        train: training interactions.
        valid: validation interactions; liked ones are the relevant items.
        like_from: lowest rating that counts as liked.
        config: weight, scale, the bound of cold users.
        seed: of the intervals.

    Returns:
        `columns.POLICIES`: NDCG@10 and its difference to the graph's with a 95 % interval, a row
        per policy and weight; one row is chosen. Without a judged user with a liked validation
        item, the single row `none`.

    Raises:
        DataError: a table breaks its contract.
    """
    population = _judgeable(candidates, valid, like_from)
    users = population.filter(population.is_in(judged[USER].unique().implode()))
    if users.is_empty():
        return fixed("none", config)
    mine = pl.col(USER).is_in(users.implode())
    rows, truth = candidates.filter(mine), valid.filter(mine)

    def measured(weight: float) -> Floats:
        lists = fused_lists(rows, judged, users, weight=weight, method=config.scale)
        ranking = lists.select(list(RANKING))
        found = judge(
            ranking, train, truth, method=f"weight {weight}", protocol=FULL, cutoffs=(_K,),
            like_from=like_from,
        )  # fmt: skip
        return found.per_user(NDCG, _K)

    cold = users.is_in(cold_users(users, train, config.cold_below).implode()).to_numpy()
    n_cold = cold_users(population, train, config.cold_below).len()
    shares = _shares(cold, n_cold, population.len() - n_cold)
    weights = sorted({*_SWEEP, config.llm_weight} - {0.0})
    return _table({one: measured(one) for one in [0.0, *weights]}, cold, shares, config, seed)


def _shares(cold: Bools, n_cold: int, n_warm: int) -> Floats:
    """How many users of the population each sampled one stands for, mean 1."""
    each = np.where(cold, n_cold / max(1, cold.sum()), n_warm / max(1, (~cold).sum()))
    shares: Floats = each / each.mean()
    return shares


def _table(
    values: Mapping[float, Floats], cold: Bools, shares: Floats, config: FusionConfig, seed: int
) -> pl.DataFrame:
    graph = values[0.0]
    gains: dict[tuple[Policy, float], Floats] = {("none", 0.0): np.zeros_like(graph)}
    for weight in sorted(values.keys() - {0.0}):
        gain = values[weight] - graph
        gains["cold-only", weight] = np.where(cold, gain, 0.0)
        gains["all", weight] = gain
    weighted = np.stack([gain * shares for gain in gains.values()], axis=1)
    low, high = intervals(weighted, resamples=_RESAMPLES, seed=seed)
    difference = weighted.mean(axis=0)
    keys = list(gains)
    best = _best(dict(zip(keys, difference.tolist(), strict=True)), config)
    columns = {
        POLICY: [policy for policy, _ in keys], WEIGHT: [weight for _, weight in keys],
        VALUE: (graph * shares).mean() + difference, DIFFERENCE: difference, CI_LOW: low,
        CI_HIGH: high, USERS: [graph.size] * len(keys), CHOSEN: [key == best for key in keys],
    }  # fmt: skip
    table = pl.DataFrame(columns).cast(dict(POLICIES))  # type: ignore[arg-type]
    return check(table, POLICIES, table="policies")


def _best(
    differences: Mapping[tuple[Policy, float], float], config: FusionConfig
) -> tuple[Policy, float]:
    """The best policy at the configured weight; a tie leaves more to the graph."""
    offered: list[tuple[Policy, float]] = [
        (policy, 0.0 if policy == "none" else config.llm_weight) for policy in ORDER
    ]
    there = [key for key in offered if key in differences]
    # `max` keeps the first of equal ones; the rounding keeps noise of the last bit from deciding.
    return max(there, key=lambda key: round(differences[key], 9))
