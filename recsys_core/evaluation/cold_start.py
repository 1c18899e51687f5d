"""Cold start: lists for users or items that training never saw, measured.

`cold_user(n)`: every item but the n shown ones is ranked for a held-out user; relevant are the
remaining ratings of at least `like_from`. `cold_item`: only held-out items are ranked, for every
user with a relevant one among them. Averages are those of `full`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    COLD,
    DIFFERENCE,
    ITEM,
    METHOD,
    P_ADJUSTED,
    PROTOCOL,
    USER,
    USERS,
    VALUE,
)
from recsys_core.datasets.cold_start_splits import ColdItems, ColdUsers
from recsys_core.errors import DataError
from recsys_core.evaluation.cross_validation import compare_over_folds
from recsys_core.evaluation.protocols import FULL, Judgement, judge
from recsys_core.evaluation.significance import intervals, means
from recsys_core.interactions.feedback import is_liked

COLD_ITEM: Final = "cold_item"


def cold_user_label(n: int) -> str:
    """Name of the protocol in the metrics table."""
    return f"cold_user({n})"


def judge_cold_users(
    ranking: pl.DataFrame,
    split: ColdUsers,
    *,
    method: str,
    cutoffs: Sequence[int],
    like_from: float,
    items: pl.Series | None = None,
) -> Judgement:
    """Measure the lists of the held-out users; arguments and errors as for `evaluate`."""
    known = pl.concat([split.train, split.shown])
    judged = judge(
        ranking, known, split.test, method=method, protocol=FULL, cutoffs=cutoffs,
        like_from=like_from, items=items,
    )  # fmt: skip
    return replace(judged, protocol=cold_user_label(split.n))


def judge_cold_items(
    ranking: pl.DataFrame,
    split: ColdItems,
    *,
    method: str,
    cutoffs: Sequence[int],
    like_from: float,
) -> Judgement:
    """Measure lists of held-out items, over the users with a relevant one among them.

    Raises:
        DataError: a list holds another item, or is malformed.
    """
    foreign = ranking.filter(~pl.col(ITEM).is_in(split.items.implode()))
    if foreign.height:
        raise DataError(
            f"{method}: {foreign.height} rows rank items that are not held out"
            f" ({foreign[ITEM][0]!r}).",
            expected=f"lists of the {split.items.len()} held-out items only.",
            fix="rank `among` the held-out items.",
        )
    users = split.test.filter(is_liked(like_from))[USER].unique().implode()
    test = split.test.filter(pl.col(USER).is_in(users))
    judged = judge(
        ranking, split.train, test, method=method, protocol=FULL, cutoffs=cutoffs,
        like_from=like_from,
    )  # fmt: skip
    return replace(judged, protocol=COLD_ITEM)


def cold_table(
    values: Mapping[str, pl.DataFrame], reference: str, *, bootstrap: int = 1000, seed: int = 0
) -> pl.DataFrame:
    """Mean, interval, and difference to `reference` of every method under every protocol.

    Means and intervals take (user, seed) pairs as independent; the tests average a
    user's differences over the seeds first. Holm's correction is per protocol.

    Args:
        values: method -> fold (the seed), user, protocol and value; null where left out.
        reference: the method that all others are compared with; where a protocol does not have
            it, differences are null.
        bootstrap: resamples of the intervals; 0 leaves them null.
        seed: of the resampling.

    Returns:
        `columns.COLD`, a row per protocol and method, in the order of `values`.
    """
    protocols = pl.concat([one[PROTOCOL] for one in values.values()]).unique(maintain_order=True)
    tables = [
        _of_protocol(
            {
                name: part
                for name, one in values.items()
                if (part := one.filter(pl.col(PROTOCOL) == protocol)).height
            },
            protocol,
            reference,
            bootstrap,
            seed,
        )
        for protocol in protocols
    ]
    return pl.concat([pl.DataFrame(schema=dict(COLD)), *tables])


def _of_protocol(
    values: Mapping[str, pl.DataFrame], protocol: str, reference: str, bootstrap: int, seed: int
) -> pl.DataFrame:
    rows = [
        {METHOD: name, PROTOCOL: protocol, **_mean(one, bootstrap, seed)}
        for name, one in values.items()
    ]
    table = pl.DataFrame(rows, schema={name: COLD[name] for name in rows[0]})
    if reference not in values:
        none = (pl.lit(None, pl.Float64).alias(name) for name in (DIFFERENCE, P_ADJUSTED))
        return table.with_columns(*none).select(*COLD)
    tests = compare_over_folds(values, reference, seed=seed).select(METHOD, DIFFERENCE, P_ADJUSTED)
    return table.join(tests, on=METHOD, how="left", maintain_order="left").select(*COLD)


def _mean(one: pl.DataFrame, bootstrap: int, seed: int) -> dict[str, float | int | None]:
    found = one[VALUE].cast(pl.Float64).fill_null(float("nan")).to_numpy()[:, None]
    (value,), (users,) = means(found)
    low, high = intervals(found, resamples=bootstrap, seed=seed)
    numbers = {VALUE: value, CI_LOW: low[0], CI_HIGH: high[0]}
    return {k: None if np.isnan(v) else float(v) for k, v in numbers.items()} | {USERS: int(users)}
