"""Metrics beyond accuracy of one method's lists, as rows of the metrics table.

They need no ratings, so they are the same under every protocol; the table files them under `full`.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    GENRES,
    ITEM,
    METHOD,
    METRIC,
    METRICS,
    PROTOCOL,
    USERS,
    VALUE,
    VECTOR,
    K,
)  # fmt: skip
from recsys_core.evaluation.list_properties import lists_of
from recsys_core.evaluation.metric_table import LISTS
from recsys_core.evaluation.metrics import Floats, Ints
from recsys_core.evaluation.significance import intervals, means


def beyond_accuracy(
    ranking: pl.DataFrame,
    train: pl.DataFrame,
    items: pl.Series,
    *,
    method: str,
    cutoffs: Sequence[int],
    vectors: pl.DataFrame | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pl.DataFrame:
    """Every metric of `metric_table.LISTS`; those that need item vectors only with `vectors`.

    Args:
        ranking: checked lists (user, item, rank) of the users to look at; items are all known.
        train: training interactions, for the popularity of items.
        items: ids of all items of the data set.
        method: name for the table.
        cutoffs: the k.
        vectors: item id and vector; items without one are left out of the pairs.
        bootstrap: resamples of users; properties of all lists together get no interval.
        seed: seed of the resampling.

    Returns:
        `columns.METRICS`, protocol `full`.
    """
    lists = lists_of(ranking, train, items, cutoffs, vectors)
    rows = []
    for one in LISTS:
        if one.needs_vectors and vectors is None:
            continue
        found = one.function(lists)
        if one.per_user:
            value, counted = means(found)
            ends = intervals(found, resamples=bootstrap, seed=seed)
            rows.append(_rows(one.name, cutoffs, value, counted, *ends))
        else:
            counted = np.full(len(cutoffs), lists.listed.shape[0])
            rows.append(_rows(one.name, cutoffs, found, counted))
    table = pl.concat(rows).with_columns(
        pl.lit(method).alias(METHOD), pl.lit("full").alias(PROTOCOL)
    )
    return table.select(*METRICS)


def genre_vectors(items: pl.DataFrame) -> pl.DataFrame:
    """Genres as vectors (item id, vector of 0 and 1), for diversity without embeddings.

    Args:
        items: item id and a list of genres; items without genres are left out.
    """
    long = items.select(ITEM, GENRES).explode(GENRES, empty_as_null=True).drop_nulls()
    names = long[GENRES].unique().sort().to_list()
    flags = [
        (pl.col(GENRES) == name).any().cast(pl.Float32).alias(f"{i}")
        for i, name in enumerate(names)
    ]
    wide = long.group_by(ITEM, maintain_order=True).agg(flags)
    if not names:
        return wide.with_columns(pl.lit(None, pl.Array(pl.Float32, 1)).alias(VECTOR))
    packed = pl.concat_list(pl.exclude(ITEM)).list.to_array(len(names)).alias(VECTOR)
    return wide.select(ITEM, packed)


def _rows(
    name: str,
    cutoffs: Sequence[int],
    value: Floats,
    users: Ints,
    low: Floats | None = None,
    high: Floats | None = None,
) -> pl.DataFrame:
    columns = {K: list(cutoffs), VALUE: value, CI_LOW: low, CI_HIGH: high, USERS: users}
    types = {column: METRICS[column] for column in columns}
    table = pl.DataFrame(columns).cast(types).fill_nan(None)  # type: ignore[arg-type]
    return table.with_columns(pl.lit(name).alias(METRIC))
