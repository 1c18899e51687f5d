"""Whose lists are reranked, and how: fixed by the configuration, or found by a probe.

Reranking by a language model may help users with few interactions and harm the others, or harm
everybody, and it is paid for either way. The *probe* (`fusion.policy: auto`) therefore judges
validation users in stages, cold and warm ones in proportion, with lists of a model that has not
seen the validation ratings. After each stage the gain of the learned fusion is measured
(`learned_fusion`) and a group-sequential test (`group_sequential`) says whether a gain is shown,
whether one worth having can be ruled out, or whether to go on. Cold and warm users are decided
apart where both are many. Only users of groups with a shown gain are judged afterwards.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import polars as pl

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    DECISION,
    DIFFERENCE,
    GROUP,
    PROBE,
    SCALE,
    STAGE,
    USER,
    USERS,
    VALUE,
    WEIGHT,
    check,
)  # fmt: skip
from recsys_core.interactions.feedback import is_liked
from recsys_core.rerank.config import FusionConfig
from recsys_core.rerank.group_sequential import LEVEL, Look, look
from recsys_core.rerank.learned_fusion import (
    Measured,
    Setting,
    cross_fitted,
    measure,
    of_plain_scale,
    select,
    settings,
)

EVERYBODY, COLD, WARM = "everybody", "cold", "warm"
"""The groups that are decided apart: all users in one, or the cold and the warm."""
_LEAST_GROUP: Final = 50
"""Fewest users of a group, in the whole probe, to decide it apart."""
_PLACE: Final = "place"

Policy = Literal["none", "cold-only", "warm-only", "all"]


def cold_users(users: pl.Series, known: pl.DataFrame, below: int) -> pl.Series:
    """Those of `users` with fewer than `below` interactions in `known`."""
    counted = known.group_by(USER).agg(pl.len().alias(USERS))
    busy = counted.filter(pl.col(USERS) >= below)[USER]
    return users.filter(~users.is_in(busy.implode()))


def probe_users(
    candidates: pl.DataFrame,
    train: pl.DataFrame,
    valid: pl.DataFrame,
    *,
    like_from: float,
    cold_below: int,
    config: FusionConfig,
    seed: int,
) -> pl.DataFrame:
    """USER and GROUP of those that the probe may judge, in the order in which it does.

    They have a list and a liked validation item. Within cold and warm the order is drawn; both
    stand in proportion in every beginning of it.

    Args:
        candidates: `columns.CANDIDATES` of the model fitted on `train` alone.
        train: training interactions.
        valid: validation interactions.
        like_from: lowest rating that counts as liked.
        cold_below: users with fewer training interactions are cold.
        config: the stages.
        seed: of the order.
    """
    liked = valid.filter(is_liked(like_from)).select(USER).unique()
    users = liked.join(candidates, on=USER, how="semi")[USER].sort()
    cold = users.is_in(cold_users(users, train, cold_below).implode())
    rng = np.random.default_rng(seed)
    parts = []
    for name, own in ((COLD, users.filter(cold)), (WARM, users.filter(~cold))):
        drawn = own.gather(rng.permutation(own.len())).alias(USER).to_frame()
        place = ((pl.int_range(pl.len()) + 0.5) / pl.len()).alias(_PLACE)
        parts.append(drawn.with_columns(place, pl.lit(name).alias(GROUP)))
    order = pl.concat(parts).sort(_PLACE, GROUP, maintain_order=True).drop(_PLACE)
    order = order.head(config.probe_users[-1])
    if any(order.filter(pl.col(GROUP) == name).height < _LEAST_GROUP for name in (COLD, WARM)):
        order = order.with_columns(pl.lit(EVERYBODY).alias(GROUP))
    return order


def stage_sizes(config: FusionConfig, users: int) -> tuple[int, ...]:
    """Users judged after each stage, if so many can be judged at all."""
    return (*(size for size in config.probe_users if size < users), users)


def open_groups(
    order: pl.DataFrame, before: pl.DataFrame | None, config: FusionConfig
) -> list[str]:
    """The groups that are judged further: undecided, or served by a weight of few users.

    Args:
        order: of `probe_users`.
        before: `columns.PROBE` after the last stage; None before the first.
        config: the stages, and how many users a learned weight rests on.
    """
    if before is None:
        return order[GROUP].unique().sort().to_list()
    stage = int(before[STAGE].max())  # type: ignore[arg-type]
    few = stage_sizes(config, order.height)[stage] < min(config.weigh_users, order.height)
    going_on = {"go on", "serve"} if few and len(settings(config)) > 1 else {"go on"}
    last = before.filter(pl.col(STAGE) == stage)
    return last.filter(pl.col(DECISION).is_in(going_on))[GROUP].to_list()


def stage_users(
    order: pl.DataFrame, stage: int, before: pl.DataFrame | None, config: FusionConfig
) -> pl.Series:
    """The users that a stage judges: those who come newly, of groups that are judged further."""
    sizes = (0, *stage_sizes(config, order.height))
    if stage >= len(sizes) - 1:
        return order[USER].clear()
    fresh = order.slice(sizes[stage], sizes[stage + 1] - sizes[stage])
    return fresh.filter(pl.col(GROUP).is_in(open_groups(order, before, config)))[USER]


def decide_stage(
    order: pl.DataFrame,
    stage: int,
    before: pl.DataFrame | None,
    candidates: pl.DataFrame,
    judged: pl.DataFrame,
    valid: pl.DataFrame,
    *,
    like_from: float,
    config: FusionConfig,
    seed: int,
) -> pl.DataFrame:
    """What was seen so far, and the decision about every open group.

    Args:
        order: of `probe_users`.
        stage: counted from 0.
        before: `columns.PROBE` after the stage before; None for the first.
        candidates: `columns.CANDIDATES` of the model fitted on training ratings alone.
        judged: `columns.JUDGED` of all stages up to this one.
        valid: validation interactions; liked ones are the relevant items.
        like_from: lowest rating that counts as liked.
        config: weight and scale, or that they are learned; the stages.
        seed: of the folds.

    Returns:
        `columns.PROBE`: the rows of `before`, and one per open group.

    Raises:
        DataError: a table breaks its contract.
    """
    sizes, tried = stage_sizes(config, order.height), settings(config)
    groups = order[GROUP].n_unique()
    decided = set(_last(before)[GROUP]) if before is not None else set()
    rows = []
    for name in open_groups(order, before, config):
        own = order.filter(pl.col(GROUP) == name)
        planned = [order.head(size).filter(pl.col(GROUP) == name).height for size in sizes]
        seen = own.head(planned[stage])[USER]
        mine = pl.col(USER).is_in(seen.implode())
        found = measure(
            candidates.filter(mine), judged.filter(mine), valid.filter(mine), tried,
            like_from=like_from,
        )  # fmt: skip
        rows.append({GROUP: name, STAGE: stage} | _seen(
            found, planned, tried, config.smallest_gain, LEVEL / groups, seed, name in decided
        ))  # fmt: skip
    table = pl.DataFrame(rows, schema=dict(PROBE))
    return check(table if before is None else pl.concat([before, table]), PROBE, table="probe")


def _seen(
    found: Measured, planned: Sequence[int], tried: Sequence[Setting], smallest: float,
    level: float, seed: int, shown: bool,
) -> dict[str, object]:  # fmt: skip
    """What the users so far say; `shown`: an earlier look has shown the gain, and the test is over.

    Then only the setting is chosen anew, unless none gains anything any more.
    """
    plain = of_plain_scale(tried)
    honest = cross_fitted(found.gains, np.random.default_rng(seed), plain)
    at: Look = look(honest, planned, smallest_gain=smallest, level=level)
    chosen = select(found.gains, fixed=len(tried) == 1, sure=not shown, plain=plain)
    setting = None if chosen is None else tried[chosen]
    decision = "serve" if shown else at.decision
    if decision == "serve" and setting is None:
        decision = "undecided"
    return {
        USERS: at.users, VALUE: float(found.graph.mean()), DIFFERENCE: at.gain,
        WEIGHT: setting.weight if setting else 0.0, SCALE: setting.scale if setting else None,
        CI_LOW: at.low if np.isfinite(at.low) else None,
        CI_HIGH: at.high if np.isfinite(at.high) else None, DECISION: decision,
    }  # fmt: skip


def fixed_users(
    users: pl.Series, known: pl.DataFrame, *, cold_below: int, config: FusionConfig
) -> pl.DataFrame:
    """`columns.RERANKED_USERS` under a policy that measures nothing first.

    Args:
        users: everybody.
        known: interactions that the served lists are made from.
        cold_below: users with fewer of them are cold.
        config: policy, weight, scale.
    """
    if config.policy == "cold-only":
        users = cold_users(users, known, cold_below)
    elif config.policy != "all":
        users = users.clear()
    return _with_setting(users, config.fixed_weight, config.fixed_scale)


def probed_users(
    probe: pl.DataFrame, users: pl.Series, known: pl.DataFrame, *, cold_below: int
) -> pl.DataFrame:
    """`columns.RERANKED_USERS` as a probe decided: those of groups with a shown gain.

    Args:
        probe: `columns.PROBE`.
        users: everybody.
        known: interactions that the served lists are made from.
        cold_below: users with fewer of them are cold.
    """
    cold = users.is_in(cold_users(users, known, cold_below).implode())
    members = {EVERYBODY: users, COLD: users.filter(cold), WARM: users.filter(~cold)}
    served = _last(probe)
    parts = [
        _with_setting(members[row[GROUP]], row[WEIGHT], row[SCALE])
        for row in served.iter_rows(named=True)
    ]
    return pl.concat([_with_setting(users.clear(), 0.0, ""), *parts])


def _with_setting(users: pl.Series, weight: float, scale: str) -> pl.DataFrame:
    return users.alias(USER).to_frame().select(
        USER, pl.lit(weight, pl.Float64).alias(WEIGHT), pl.lit(scale).alias(SCALE)
    )  # fmt: skip


def _last(probe: pl.DataFrame) -> pl.DataFrame:
    """The last rows of the groups whose reranked lists are served."""
    last = probe.filter(pl.col(STAGE) == pl.col(STAGE).max().over(GROUP))
    return last.filter(pl.col(DECISION) == "serve")


def policy_of(probe: pl.DataFrame) -> Policy:
    """Whose lists a probe's decisions rerank."""
    served = set(_last(probe)[GROUP])
    if EVERYBODY in served or {COLD, WARM} <= served:
        return "all"
    return "cold-only" if COLD in served else "warm-only" if WARM in served else "none"
