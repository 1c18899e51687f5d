"""Bootstrap confidence intervals over users, and paired permutation tests between methods.

Users are resampled as integer weights, (resamples, n_users): one matrix product then gives the
resampled means of every metric, cut-off and method at once, all on the same resamples.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import numpy as np
import polars as pl

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    COMPARISONS,
    DIFFERENCE,
    METHOD,
    P_ADJUSTED,
    P_VALUE,
    REFERENCE,
    USERS,
)  # fmt: skip
from recsys_core.errors import ConfigError
from recsys_core.evaluation.metrics import Floats, Ints

LEVEL: Final = 0.95
_CELLS: Final = 8_000_000
"""Weights held at once (64 MB), so that a million users do not need a million columns at once."""


def means(values: Floats) -> tuple[Floats, Ints]:
    """Column means over the users that count.

    Args:
        values: (n_users, n_columns), NaN where a user does not count.

    Returns:
        means (n_columns,), NaN where nobody counts, and the number of users that do.
    """
    there = ~np.isnan(values)
    counted = there.sum(axis=0)
    return _divided(np.where(there, values, 0.0).sum(axis=0), counted), counted


def intervals(values: Floats, *, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """Percentile bootstrap intervals (95 %) of the column means (Efron and Tibshirani 1993).

    Args:
        values: (n_users, n_columns), NaN where a user does not count.
        resamples: how often the users are drawn anew; 0 gives NaN.
        seed: equal seeds and numbers of users give the same draws.

    Returns:
        lower and upper ends, each (n_columns,).
    """
    nothing = np.full(values.shape[1], np.nan)
    if resamples == 0 or values.shape[0] == 0:
        return nothing, nothing.copy()
    drawn = resampled_means(values, resamples=resamples, seed=seed)
    some = ~np.isnan(drawn).all(axis=0)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    ends = np.stack([nothing, nothing])
    # A draw in which nobody counts says nothing about the mean: such draws are left out.
    ends[:, some] = np.nanquantile(drawn[:, some], tails, axis=0)
    return ends[0], ends[1]


def resampled_means(values: Floats, *, resamples: int, seed: int) -> Floats:
    """Column means of each resample of the users: (resamples, n_columns)."""
    there = (~np.isnan(values)).astype(np.float64)
    filled = np.nan_to_num(values)
    weights = _resamples(values.shape[0], resamples, np.random.default_rng(seed))
    return np.concatenate([_divided(w @ filled, w @ there) for w in weights])


def check_reference(values: Collection[str], reference: str) -> None:
    """Raise ConfigError where no method has the name `reference`."""
    if reference not in values:
        raise ConfigError(
            f"No method is called {reference!r}.", expected=f"one of {', '.join(values)}."
        )


def compare(
    values: Mapping[str, Floats], reference: str, *, resamples: int = 10_000, seed: int = 0
) -> pl.DataFrame:
    """Paired two-sided tests of every method against `reference`, on the users both count.

    The p-value is that of a sign-flip permutation test of the mean difference (exact under
    exchangeability, no normality assumed); the interval is a paired bootstrap; `p_adjusted` is
    Holm's correction (Holm 1979) for all rows together.

    Args:
        values: method -> (n_users,), the same users in the same order, NaN where left out.
        reference: the method that all others are compared with.
        resamples: permutations, and bootstrap resamples.
        seed: seed of both.

    Returns:
        `columns.COMPARISONS`, a row per other method; positive difference: better than reference.

    Raises:
        ConfigError: no method has the name `reference`.
    """
    check_reference(values, reference)
    others = [name for name in values if name != reference]
    rows = [_compared(values[name] - values[reference], resamples, seed) for name in others]
    p_values = np.array([row[P_VALUE] for row in rows])
    table = pl.DataFrame(rows, schema={name: COMPARISONS[name] for name in _MEASURED})
    return table.with_columns(
        pl.Series(METHOD, others, dtype=pl.String),
        pl.lit(reference).alias(REFERENCE),
        pl.Series(P_ADJUSTED, holm(p_values), dtype=pl.Float64),
    ).select(*COMPARISONS)


_MEASURED: Final = (DIFFERENCE, CI_LOW, CI_HIGH, P_VALUE, USERS)


def holm(p_values: Floats) -> Floats:
    """Holm's step-down correction: rejecting p_adjusted < a keeps the family-wise error below a."""
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(p_values.size, 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * steps), 1.0)
    return adjusted


def _compared(differences: Floats, resamples: int, seed: int) -> dict[str, float]:
    paired = differences[~np.isnan(differences)][:, None]
    low, high = intervals(paired, resamples=resamples, seed=seed)
    return {
        DIFFERENCE: float(paired.mean()) if paired.size else np.nan,
        CI_LOW: float(low[0]),
        CI_HIGH: float(high[0]),
        P_VALUE: sign_flip(paired[:, 0], resamples=resamples, seed=seed),
        USERS: paired.size,
    }


def sign_flip(differences: Floats, *, resamples: int, seed: int) -> float:
    """Two-sided p-value of a mean difference of zero, (n_users,), by random sign flips."""
    if not differences.size:
        return 1.0
    rng = np.random.default_rng(seed)
    observed = abs(differences.sum())
    # The margin keeps a permutation that is equal up to rounding on the side of the null.
    threshold = observed - 1e-9 * np.abs(differences).sum()
    extreme = 0
    for size in _chunks(differences.size, resamples):
        flips = rng.integers(0, 2, (size, differences.size), dtype=np.int8)
        signs = flips.astype(np.float64) * 2 - 1  # a float matrix product is several times faster
        extreme += int((np.abs(signs @ differences) >= threshold).sum())
    return (extreme + 1) / (resamples + 1)


def _resamples(n_users: int, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    for size in _chunks(n_users, resamples):
        drawn = rng.integers(0, n_users, (size, n_users)) + np.arange(size)[:, None] * n_users
        counts = np.bincount(drawn.ravel(), minlength=size * n_users)
        yield counts.reshape(size, n_users).astype(np.float64)


def _chunks(n_users: int, resamples: int) -> Iterator[int]:
    step = max(1, _CELLS // max(n_users, 1))
    for start in range(0, resamples, step):
        yield min(step, resamples - start)


def _divided(total: Floats, count: Floats | Ints) -> Floats:
    nan = np.full(total.shape, np.nan)
    quotient: Floats = np.divide(total, count, out=nan, where=count > 0)
    return quotient
