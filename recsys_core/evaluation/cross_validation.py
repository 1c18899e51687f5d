"""Cross-validation: means over folds, and paired tests that count every user once."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    COMPARISONS,
    DATA_SET,
    FOLD,
    METHOD,
    METRIC,
    PER_USER,
    PROTOCOL,
    REPRODUCTION,
    USER,
    USERS,
    VALUE,
    K,
    check,
)
from recsys_core.evaluation.metrics import Floats
from recsys_core.evaluation.protocols import Judgement
from recsys_core.evaluation.significance import check_reference, compare

FOLDS: Final = "folds"
"""Number of folds behind a mean."""
_KEY: Final = (DATA_SET, METHOD, PROTOCOL, K, METRIC)
_OTHER: Final = "_other"


def user_table(judged: Judgement, k: int) -> pl.DataFrame:
    """Every metric of every user at cut-off `k` (`columns.PER_USER`); null where left out."""
    frames = [
        pl.DataFrame({USER: judged.users, VALUE: judged.per_user(metric, k)}).with_columns(
            pl.lit(judged.protocol).alias(PROTOCOL),
            pl.lit(k, pl.Int32).alias(K),
            pl.lit(metric).alias(METRIC),
            pl.col(VALUE).fill_nan(None),
        )
        for metric in judged.values
    ]
    return pl.concat(frames).select(*PER_USER)


def mean_over_folds(metrics: pl.DataFrame) -> pl.DataFrame:
    """The mean of the folds' values, each fold counting the same.

    Args:
        metrics: `columns.REPRODUCTION`. A fold where a metric has no value is left out of its
            mean.

    Returns:
        Data set, method, protocol, k, metric, value, interval (of the fold where there is one
        fold only, else null), users (summed over folds) and the number of folds.
    """
    check(metrics, REPRODUCTION, table="metrics")
    alone = pl.len() == 1
    return (
        metrics.drop_nulls(VALUE)
        .group_by(_KEY, maintain_order=True)
        .agg(
            pl.col(VALUE).mean(),
            pl.when(alone).then(pl.col(CI_LOW).first()).alias(CI_LOW),
            pl.when(alone).then(pl.col(CI_HIGH).first()).alias(CI_HIGH),
            pl.col(USERS).sum(),
            pl.col(FOLD).n_unique().cast(pl.Int32).alias(FOLDS),
        )
    )


def compare_over_folds(
    values: Mapping[str, pl.DataFrame], reference: str, *, resamples: int = 10_000, seed: int = 0
) -> pl.DataFrame:
    """Paired tests of every method against `reference`, all folds together.

    A user of several folds is no independent witness in each of them, so the differences of a user
    are averaged over the folds first, and the test flips the signs of users.

    Args:
        values: method -> fold, user and value (null where the metric leaves the user out); a
            method is compared on the folds that it has.
        reference: the method that all others are compared with.
        resamples: permutations, and bootstrap resamples.
        seed: seed of both.

    Returns:
        `columns.COMPARISONS`, a row per other method; positive difference: better than reference.

    Raises:
        ConfigError: no method has the name `reference`.
    """
    check_reference(values, reference)
    users = pl.concat([one[USER] for one in values.values()]).unique().sort()
    against = values[reference]
    differences = {
        name: _user_differences(one, against, users)
        for name, one in values.items()
        if name != reference
    }
    nothing = {reference: np.zeros(users.len())}
    found = compare(nothing | differences, reference, resamples=resamples, seed=seed)
    return check(found, COMPARISONS, table="comparisons")


def _user_differences(one: pl.DataFrame, against: pl.DataFrame, users: pl.Series) -> Floats:
    both = one.join(against, on=[FOLD, USER], suffix=_OTHER).drop_nulls([VALUE, VALUE + _OTHER])
    per_user = both.group_by(USER).agg((pl.col(VALUE) - pl.col(VALUE + _OTHER)).mean())
    aligned = users.to_frame(USER).join(per_user, on=USER, how="left", maintain_order="left")
    found: Floats = aligned[VALUE].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return found
