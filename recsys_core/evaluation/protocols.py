"""What a list is measured against, and over which users.

`full`: every item that the user has not interacted with in training is ranked; relevant is a test
rating of at least `like_from`; precision averages over all test users, every other metric over
those with a relevant test item. Items seen in training are taken out of a list first and counted.

`condensed` (the paper's Table 1): of the top k only the items that the user rated in test are
kept, in order; relevant as above. Precision, NDCG and MRR average over the users with something
kept, recall and hit rate over those with a relevant item, MAP over those with a hit. The user sets
differ from metric to metric and from method to method: it is here to compare with the paper.

A test user without a list counts as one with an empty list: 0 under `full`; under `condensed`
nothing is kept, so only recall and hit rate see that user, as 0.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    ITEM,
    METHOD,
    METRIC,
    METRICS,
    PROTOCOL,
    RANK,
    USER,
    USERS,
    VALUE,
    K,
)  # fmt: skip
from recsys_core.errors import DataError
from recsys_core.evaluation.metric_table import RANKING, Users, accuracy
from recsys_core.evaluation.metrics import HIT_RATE, Bools, Floats, Ints
from recsys_core.evaluation.rankings import checked_ranking, hit_matrices
from recsys_core.evaluation.significance import intervals, means
from recsys_core.interactions.feedback import is_liked

ProtocolName = Literal["full", "condensed"]
FULL: Final = "full"
CONDENSED: Final = "condensed"
History = Literal["warm", "new"]
"""Users whom training saw, and those who came after it: told apart for a split by time."""

logger = logging.getLogger(__name__)


def protocol_label(
    protocol: ProtocolName,
    max_train_interactions: int | None = None,
    history: History | None = None,
) -> str:
    """Name in the metrics table: `full`, or `full/cold<10` for at most 9 training interactions."""
    if history is not None:
        return f"{protocol}/{history}"
    if max_train_interactions is None:
        return protocol
    return f"{protocol}/cold<{max_train_interactions + 1}"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One method under one protocol, user by user.

    Attributes:
        method: name of the method.
        protocol: label of the protocol.
        cutoffs: the k.
        users: test users, sorted; the rows of `values`.
        values: metric -> (n_users, n_cutoffs), NaN where the metric leaves the user out.
        notes: what was counted on the way: test users without a list, seen or unknown items.
    """

    method: str
    protocol: str
    cutoffs: tuple[int, ...]
    users: pl.Series
    values: dict[str, Floats]
    notes: dict[str, int]

    def table(self, *, bootstrap: int = 1000, seed: int = 0) -> pl.DataFrame:
        """Means and 95 % intervals over users (`columns.METRICS`); null where no user counts."""
        stacked = np.concatenate([self.values[one.name] for one in RANKING], axis=1)
        value, counted = means(stacked)
        low, high = intervals(stacked, resamples=bootstrap, seed=seed)
        keys = [(one.name, k) for one in RANKING for k in self.cutoffs]
        columns = {
            METHOD: [self.method] * len(keys), PROTOCOL: [self.protocol] * len(keys),
            K: [k for _, k in keys], METRIC: [name for name, _ in keys],
            VALUE: value, CI_LOW: low, CI_HIGH: high, USERS: counted,
        }  # fmt: skip
        return pl.DataFrame(columns).cast(dict(METRICS)).fill_nan(None)  # type: ignore[arg-type]

    def per_user(self, metric: str, k: int) -> Floats:
        """Values of one metric at one cut-off, (n_users,), for a paired test."""
        return self.values[metric][:, self.cutoffs.index(k)]


def judge(
    ranking: pl.DataFrame,
    train: pl.DataFrame,
    test: pl.DataFrame,
    *,
    method: str,
    protocol: ProtocolName,
    cutoffs: Sequence[int],
    like_from: float,
    max_train_interactions: int | None = None,
    items: pl.Series | None = None,
    masked: pl.DataFrame | None = None,
    history: History | None = None,
) -> Judgement:
    """Measure every test user's list; arguments and errors as for `evaluate`."""
    ranking = checked_ranking(ranking, train, test, items)
    users = test[USER].unique().sort()
    notes = {"test_users_without_list": users.len() - _count_in(users, ranking[USER])}
    if items is None and users.len() and notes["test_users_without_list"] == users.len():
        raise DataError(
            f"{method}: none of the {users.len()} test users has a list.",
            expected="lists for the users of the test split.",
            fix="check the user ids and the fold.",
        )
    notes["items_without_interactions"] = _foreign_items(ranking, train, test, items)
    if protocol == FULL:
        seen = train if masked is None else masked
        ranking, notes["seen_items_removed"] = _without_seen(ranking, seen)
    if max_train_interactions is not None:
        users = _cold(users, train, max_train_interactions)
    if history is not None:
        new = _cold(users, train, 0)
        users = new if history == "new" else users.filter(~users.is_in(new.implode()))
    _report(notes, method)
    relevant, rated = hit_matrices(ranking, users, test, like_from, max(cutoffs))
    total = _relevant_per_user(users, test, like_from)
    return Judgement(
        method=method,
        protocol=protocol_label(protocol, max_train_interactions, history),
        cutoffs=tuple(cutoffs),
        users=users,
        values=_values(relevant, rated, total, cutoffs, protocol),
        notes=notes,
    )


def evaluate(
    ranking: pl.DataFrame,
    train: pl.DataFrame,
    test: pl.DataFrame,
    *,
    method: str,
    protocol: ProtocolName,
    cutoffs: Sequence[int],
    like_from: float,
    max_train_interactions: int | None = None,
    items: pl.Series | None = None,
    masked: pl.DataFrame | None = None,
    history: History | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pl.DataFrame:
    """Metrics of one method's lists, with 95 % bootstrap intervals over users.

    Args:
        ranking: user, item, rank (1 is best, no gaps); users outside test are ignored.
        train: all interactions that the method may have learned from.
        test: held-out interactions with ratings.
        method: name for the table.
        protocol: `full` or `condensed` (see the module).
        cutoffs: the k, each at least 1.
        like_from: lowest rating that counts as relevant.
        max_train_interactions: keep only users with at most so many training interactions.
        items: ids of all items of the data set; where given, a list may hold no others.
        masked: interactions whose items are taken out of a list; `train` where not given.
        history: keep only users whom `train` knows (`warm`), or does not know (`new`).
        bootstrap: resamples of users; 0 leaves the intervals null.
        seed: seed of the resampling; equal seeds and users give paired resamples.

    Returns:
        A row per metric and cut-off, `columns.METRICS`.

    Raises:
        DataError: the lists are malformed, or do not belong to these interactions.
    """
    judged = judge(
        ranking, train, test, method=method, protocol=protocol, cutoffs=cutoffs,
        like_from=like_from, max_train_interactions=max_train_interactions, items=items,
        masked=masked, history=history,
    )  # fmt: skip
    return judged.table(bootstrap=bootstrap, seed=seed)


def _values(
    relevant: Bools, rated: Bools, total: Ints, cutoffs: Sequence[int], protocol: ProtocolName
) -> dict[str, Floats]:
    condensed = protocol == CONDENSED
    values = accuracy(relevant, total, cutoffs, rated=rated if condensed else None)
    at = np.asarray(cutoffs) - 1
    has_relevant = np.broadcast_to(total[:, None] > 0, (total.size, at.size))
    counted: dict[Users, Bools] = {
        "all": np.ones_like(has_relevant),
        "with_relevant": has_relevant,
        "with_kept": np.cumsum(rated, axis=1)[:, at] > 0,
        "with_hit": has_relevant & (values[HIT_RATE] > 0),
    }
    return {
        one.name: np.where(
            counted[one.condensed if condensed else one.full], values[one.name], np.nan
        )
        for one in RANKING
    }


def _relevant_per_user(users: pl.Series, test: pl.DataFrame, like_from: float) -> Ints:
    liked = test.filter(is_liked(like_from)).group_by(USER).agg(pl.len().alias(VALUE))
    rows = pl.DataFrame({USER: users}).join(liked, on=USER, how="left", maintain_order="left")
    return rows[VALUE].fill_null(0).cast(pl.Int64).to_numpy()


def _cold(users: pl.Series, train: pl.DataFrame, at_most: int) -> pl.Series:
    busy = train.group_by(USER).agg(pl.len().alias(VALUE)).filter(pl.col(VALUE) > at_most)[USER]
    return users.filter(~users.is_in(busy.implode()))


def _without_seen(ranking: pl.DataFrame, train: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    kept = ranking.join(train.select(USER, ITEM), on=[USER, ITEM], how="anti")
    removed = ranking.height - kept.height
    if removed:
        kept = kept.with_columns(pl.col(RANK).rank("ordinal").over(USER).cast(pl.Int32))
    return kept, removed


def _foreign_items(
    ranking: pl.DataFrame, train: pl.DataFrame, test: pl.DataFrame, items: pl.Series | None
) -> int:
    listed = ranking[ITEM].unique()
    foreign = listed.len() - _count_in(listed, pl.concat([train[ITEM], test[ITEM]]))
    # With all items at hand, ids are checked already: these are new items, not foreign ones.
    if items is None and listed.len() and foreign == listed.len():
        raise DataError(
            f"None of the {foreign} items of the ranking is in the interactions.",
            expected="lists made from the same data set, with its original item ids.",
            fix="check the item ids and the interactions file.",
        )
    return foreign


def _count_in(values: pl.Series, among: pl.Series) -> int:
    return int(values.is_in(among.unique().implode()).sum())


def _report(notes: dict[str, int], method: str) -> None:
    counted = {name: count for name, count in notes.items() if count}
    if counted:
        text = ", ".join(f"{name}={count}" for name, count in counted.items())
        logger.warning("lists of %s: %s", method, text, extra={"method": method, **counted})
