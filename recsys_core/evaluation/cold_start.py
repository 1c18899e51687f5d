"""Lists for users or items that training never saw, measured (DESIGN, protocols).

`cold_user(n)`: every item but the n shown ones is ranked for a held-out user; relevant are the
remaining ratings of at least `like_from`. `cold_item`: only held-out items are ranked, for every
user with a relevant one among them. Averages are those of `full`; `pooled` joins several seeds.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from recsys_core.columns import ITEM, RANK, USER
from recsys_core.datasets.cold_start_splits import ColdItems, ColdUsers
from recsys_core.errors import DataError
from recsys_core.evaluation.protocols import FULL, Judgement, judge
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


def pooled(judged: Sequence[Judgement]) -> Judgement:
    """Several seeds of one method and protocol as one: a user counts once for each seed.

    Intervals of the pooled table take the (user, seed) pairs as independent.

    Raises:
        DataError: there are none, or they differ in method, protocol or cut-offs.
    """
    kinds = {(one.method, one.protocol, one.cutoffs) for one in judged}
    if len(kinds) != 1:
        raise DataError(
            f"{len(kinds)} different measurements cannot be pooled: {sorted(kinds)}.",
            expected="one method, one protocol and the same cut-offs for all seeds.",
        )
    first = judged[0]
    names = {name: 0 for one in judged for name in one.notes}
    return replace(
        first,
        users=pl.concat([one.users for one in judged]),
        values={
            name: np.concatenate([one.values[name] for one in judged]) for name in first.values
        },
        notes={name: sum(one.notes.get(name, 0) for one in judged) for name in names},
    )


def random_ranking(users: pl.Series, items: pl.Series, k: int, seed: int) -> pl.DataFrame:
    """Random items, k per user (user, item, rank): the floor of a protocol with few items."""
    rng = np.random.default_rng(seed)
    k = min(k, items.len())
    order = rng.random((users.len(), items.len())).argsort(axis=1)[:, :k]
    repeated = np.repeat(np.arange(users.len()), k)
    ranks = pl.Series(RANK, np.tile(np.arange(1, k + 1), users.len()), dtype=pl.Int32)
    return pl.DataFrame(
        {USER: users.gather(repeated), ITEM: items.gather(order.ravel())}
    ).with_columns(ranks)
