"""User history selection: the rated items that a profile is written from, in batches, one per turn.

Paper, section 2.1.2. The selected items are called evidence throughout: the table `evidence` keeps
what was shown in which turn, and explanations may cite only what is in it.
"""

from collections.abc import Sequence
from math import isnan
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_core.columns import (
    EVIDENCE,
    ITEM,
    POLARITY,
    RATING,
    TURN,
    USER,
    check,
)
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.order import order_column
from recsys_core.profiles.config import UserProfileConfig

LIKED: Final = "liked"
DISLIKED: Final = "disliked"
_PLACE: Final = "_place"
_BATCH: Final = "_batch"


def select_history(
    train: pl.DataFrame, data: RatingScale, config: UserProfileConfig
) -> pl.DataFrame:
    """Select and batch the history of every user who liked or disliked something in `train`.

    Per user up to `max_liked` liked and `max_disliked` disliked items, the most telling first:
    the highest (lowest) rating, then the most recent (by `order_column`; unknown last), then the
    item id. They come in batches of `batch_size`, one per turn, liked and disliked in alternation:
    the first liked batch, the first disliked one, the second liked one, and so on. A user without
    liked items starts with a disliked batch. Turns are numbered from 1 without gaps.

    Args:
        train: training interactions (`columns.INTERACTIONS`); pass nothing of the test split.
        data: the thresholds of liked and disliked.
        config: how many items, and how many per turn.

    Returns:
        `columns.EVIDENCE`, sorted by user, turn and how telling an item is.
    """
    rated = train.with_columns(_polarity(data)).drop_nulls(POLARITY)
    strength = pl.when(pl.col(POLARITY) == LIKED).then(-pl.col(RATING)).otherwise(pl.col(RATING))
    ordered = rated.sort(
        pl.col(USER), strength, -pl.col(order_column(rated)), pl.col(ITEM), nulls_last=True
    ).with_columns(pl.int_range(pl.len()).over(USER, POLARITY).alias(_PLACE))
    limit = pl.when(pl.col(POLARITY) == LIKED).then(config.max_liked).otherwise(config.max_disliked)
    batch = 2 * (pl.col(_PLACE) // config.batch_size) + (pl.col(POLARITY) == DISLIKED)
    evidence = (
        ordered.filter(pl.col(_PLACE) < limit)
        .with_columns(batch.alias(_BATCH))
        .with_columns(pl.col(_BATCH).rank("dense").over(USER).cast(pl.Int32).alias(TURN))
        .sort(USER, TURN, _PLACE)
        .select(*EVIDENCE)
    )
    return check(evidence, EVIDENCE, table="evidence")


def select_ratings(
    rated: Sequence[tuple[Any, float, float]], data: RatingScale, config: UserProfileConfig
) -> list[tuple[Any, str, int]]:
    """The same for one person, whose ratings are no table: a request has no time to make one.

    Args:
        rated: item id, rating as Float32, and seconds or NaN; each item once.
        data: the thresholds of liked and disliked.
        config: how many items, and how many per turn.

    Returns:
        Item id, polarity and turn, in the order of `select_history`.
    """
    like_from, dislike_from = (
        float(np.float32(one)) for one in (data.like_from, data.dislike_from)
    )
    ages = {one[0]: (isnan(one[2]), 0.0 if isnan(one[2]) else -one[2]) for one in rated}
    liked = [one for one in rated if one[1] >= like_from]
    disliked = [one for one in rated if dislike_from >= one[1] < like_from]
    liked.sort(key=lambda one: (-one[1], ages[one[0]], one[0]))
    disliked.sort(key=lambda one: (one[1], ages[one[0]], one[0]))
    size = config.batch_size
    chosen = [(2 * (at // size), at, one[0], LIKED) for at, one in
              enumerate(liked[: config.max_liked])]  # fmt: skip
    chosen += [(2 * (at // size) + 1, at, one[0], DISLIKED) for at, one in
               enumerate(disliked[: config.max_disliked])]  # fmt: skip
    turns = {batch: turn for turn, batch in enumerate(sorted({one[0] for one in chosen}), 1)}
    return [(item, polarity, turns[batch]) for batch, _, item, polarity in sorted(chosen)]


def _polarity(data: RatingScale) -> pl.Expr:
    return (
        pl.when(pl.col(RATING) >= data.like_from)
        .then(pl.lit(LIKED))
        .when(pl.col(RATING) <= data.dislike_from)
        .then(pl.lit(DISLIKED))
        .alias(POLARITY)
    )
