"""The cold-start protocols of several seeds as one table, with paired tests."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    COLD,
    DIFFERENCE,
    METHOD,
    P_ADJUSTED,
    PROTOCOL,
    USERS,
    VALUE,
)
from recsys_core.evaluation.cross_validation import compare_over_folds
from recsys_core.evaluation.significance import intervals, means


def cold_table(
    values: Mapping[str, pl.DataFrame], reference: str, *, bootstrap: int = 1000, seed: int = 0
) -> pl.DataFrame:
    """Mean, interval, and difference to `reference` of every method under every protocol.

    Means and intervals take (user, seed) pairs as independent, as `cold.pooled` does; the tests
    average a user's differences over the seeds first. Holm's correction is per protocol.

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
