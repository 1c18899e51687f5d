"""Paired tests of a run's own methods against its best baseline, user by user."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from recsys_core.columns import COMPARISONS, METHOD, METHOD_PER_USER
from recsys_core.evaluation.cross_validation import user_table
from recsys_core.evaluation.metrics import NDCG, Floats
from recsys_core.evaluation.protocols import Judgement
from recsys_core.evaluation.significance import compare, means


def per_user_table(judged: Sequence[Judgement], k: int) -> pl.DataFrame:
    """Every metric of every method and user at `k` (`columns.METHOD_PER_USER`)."""
    frames = [
        user_table(one, k).with_columns(pl.lit(one.method).alias(METHOD)).select(*METHOD_PER_USER)
        for one in judged
    ]
    return pl.concat([pl.DataFrame(schema=_schema(judged)), *frames])


def against_best_baseline(
    judged: Sequence[Judgement], own: Sequence[str], k: int, *, seed: int = 0
) -> pl.DataFrame:
    """NDCG@k of each own method against that of the baseline with the highest mean.

    Args:
        judged: every method under one protocol, on the same test users.
        own: methods of this run; the others are baselines.
        k: cut-off.
        seed: of the permutations and resamples.

    Returns:
        `columns.COMPARISONS`, empty without own methods or without baselines.
    """
    values = {one.method: one.per_user(NDCG, k) for one in judged}
    baselines = {name: _mean(one) for name, one in values.items() if name not in own}
    baselines = {name: mean for name, mean in baselines.items() if not np.isnan(mean)}
    ours = {name: values[name] for name in own if name in values}
    if not ours or not baselines:
        return pl.DataFrame(schema=dict(COMPARISONS))
    best = max(baselines, key=lambda name: baselines[name])
    return compare({best: values[best], **ours}, best, seed=seed)


def _mean(values: Floats) -> float:
    return float(means(values[:, None])[0][0])


def _schema(judged: Sequence[Judgement]) -> dict[str, pl.DataType | type[pl.DataType]]:
    user = judged[0].users.dtype if judged else pl.Int64()
    return {name: user if dtype is None else dtype for name, dtype in METHOD_PER_USER.items()}
