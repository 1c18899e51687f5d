"""Splits in the order of time: one moment for all users (`time`), or each user's last (`last`)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import polars as pl

from recsys_core.columns import ITEM, ROW, TIMESTAMP, USER
from recsys_core.datasets.split_parts import Split, parted, too_few
from recsys_core.errors import ConfigError, DataError
from recsys_core.interactions.order import ORDERS

if TYPE_CHECKING:
    from recsys_core.datasets.config import SplitConfig

_BACK: Final = "_back"
_COUNT: Final = "_count"


def by_time(interactions: pl.DataFrame, config: "SplitConfig", _: int) -> Split:
    """All before a moment trains, what comes from it on is test; validation ends the training.

    The moment is `config.moment`, or the time of the interaction at `config.time_share` of all in
    their order. Interactions of one second are never divided. Users and items that come after
    training stay in the test part; the facts count them.

    Raises:
        DataError: an interaction has no time, or all times lie on one side of the moment.
        ConfigError: the moment cannot be read.
    """
    times = interactions[TIMESTAMP]
    if times.null_count():
        raise DataError(
            f"{times.null_count()} of {times.len()} interactions have no timestamp.",
            expected="a time for every interaction, to split by time.",
            fix="add the column timestamp, or choose another --split.kind.",
        )
    moment = _moment(times, config)
    in_test = times >= moment
    before = times.filter(~in_test)
    if before.is_empty() or not in_test.any():
        raise too_few(f"No interaction lies {'before' if before.is_empty() else 'after'} {moment}.")
    valid_from = _at_share(before, 1 - config.valid_share)
    in_valid = (times >= valid_from) & ~in_test
    if in_valid.all() or (in_valid | in_test).all():
        raise too_few("All training interactions have one time, so none is left for validation.")
    split = parted(interactions, in_valid, in_test, kind="time")
    split.facts.update(
        moment=_written(moment), moment_s=moment, valid_from=_written(valid_from),
        new_users=_new(split, USER), new_items=_new(split, ITEM),
    )  # fmt: skip
    return split


def by_last(interactions: pl.DataFrame, config: "SplitConfig", _: int) -> Split:
    """Each user's last `config.last` interactions are test, those before them validation.

    Their order is that of time, then of `position`, then of the file. A user keeps at least one
    interaction for training: who has too few gives none for validation, or none at all.

    Raises:
        DataError: no user has two interactions.
    """
    keys = [name for name in ORDERS if name in interactions.columns]
    order = (
        interactions.select(USER, *keys)
        .with_row_index(ROW)
        .sort(USER, *keys, ROW, nulls_last=False)
        .with_columns(
            (pl.len().over(USER) - 1 - pl.int_range(pl.len()).over(USER)).alias(_BACK),
            pl.len().over(USER).alias(_COUNT),
        )
        .sort(ROW)
    )
    back, count, last = pl.col(_BACK), pl.col(_COUNT), config.last
    tested = (back < last) & (count > last)
    held = (back >= last) & (back < 2 * last) & (count > 2 * last)
    masks = order.select(held.alias("valid"), tested.alias("test"))
    return parted(interactions, masks["valid"], masks["test"], kind="last")


def _moment(times: pl.Series, config: "SplitConfig") -> int:
    if config.moment is None:
        return _at_share(times, config.time_share)
    text = config.moment.strip()
    if text.lstrip("-").isdigit() and len(text) > 4:
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"split.moment {text!r} cannot be read as a time: {error}",
            expected="a date or time such as 2015-03-31 or 2015-03-31T12:00:00+00:00, or seconds.",
            fix="correct --split.moment.",
        ) from error
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def _at_share(times: pl.Series, share: float) -> int:
    ordered = times.sort()
    return int(ordered[min(round(share * ordered.len()), ordered.len() - 1)])


def _new(split: Split, column: str) -> int:
    """How many ids of the test part neither training nor validation has."""
    ids = split.test[column].unique()
    return int((~ids.is_in(split.known[column].unique().implode())).sum())


def _written(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
