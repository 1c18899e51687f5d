"""Find the kind of feedback and the rating scale of a data set, and turn counts into weights."""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import polars as pl

from recsys_core.datasets.config import DataConfig
from recsys_core.interactions.feedback import Feedback, RatingScale

SCALES: Final = (
    (0.0, 1.0), (1.0, 5.0), (0.5, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0), (-1.0, 1.0),
    (-10.0, 10.0), (1.0, 100.0), (0.0, 100.0),
)  # fmt: skip
"""Usual scales; the first one that holds every rating is taken."""
_UNRATED: Final = -1.0
_SURELY_RATINGS: Final = 10.0
"""Up to here numbers are taken for ratings, unless most of them are 1, as counts are."""


def feedback_of(
    ratings: pl.Series | None, config: DataConfig, *, hint: Feedback | None = None
) -> Feedback:
    """Explicit ratings or implicit feedback: what is configured, else what the numbers look like.

    Implicit are: no rating column, one value throughout, a column whose name counts something
    (`aliases.COUNTS`), whole numbers of which at least half are 1, and numbers from 0 up that go
    beyond 10 unless half of them are above 10 on a scale to 100. A configured scale or threshold of
    dislikes makes them explicit.

    Args:
        ratings: of every interaction, not null; None without a rating column.
        config: `feedback` and the scale, where given.
        hint: what the source says itself: the ratings of MovieLens, a column of counts.
    """
    if config.feedback != "auto":
        return config.feedback
    if ratings is None:
        return "implicit"
    if {config.rating_min, config.rating_max, config.negative} != {None}:
        return "explicit"
    if hint is not None:
        return hint
    counted = ratings.n_unique() < 2 or _look_like_counts(ratings)
    return "implicit" if counted else "explicit"


def _look_like_counts(ratings: pl.Series) -> bool:
    low, high = _ends(ratings)
    if low >= 1 and _share(ratings == 1) >= 0.5 and (ratings == ratings.floor()).all():
        return True
    if low < 0 or high <= _SURELY_RATINGS:
        return False
    return high > 100 or _share(ratings > _SURELY_RATINGS) < 0.5


def _share(mask: pl.Series) -> float:
    return int(mask.sum()) / mask.len()


def explicit_scale(ratings: pl.Series, config: DataConfig) -> RatingScale:
    """The scale as configured, its missing ends found from the ratings.

    Raises:
        ValueError: the thresholds are not ordered or not inside the scale.
    """
    low, high = _ends(ratings)
    if low == _UNRATED and (ratings < 0).sum() == (ratings == _UNRATED).sum() and high > 1:
        # A lone -1 below a scale means "not rated", and is outside of it (`data.out_of_scale`).
        low, high = _ends(ratings.filter(ratings != _UNRATED))
    for lowest, highest in (*SCALES, (low, high)):
        lowest = lowest if config.rating_min is None else config.rating_min
        highest = highest if config.rating_max is None else config.rating_max
        given = None not in (config.rating_min, config.rating_max)
        if given or (lowest <= low and high <= highest):
            break
    return RatingScale.between(
        lowest, highest, like_from=config.positive, dislike_from=config.negative
    )


def implicit_weights(
    counts: pl.Series | None, config: DataConfig
) -> tuple[pl.Series | None, RatingScale]:
    """Counts (all above 0) as weights, and their scale; without counts every weight is 1.

    Raises:
        ValueError: the thresholds are not ordered or not inside the scale.
    """
    if counts is None or counts.n_unique() < 2:
        return None, RatingScale.implicit()
    weigh = WEIGHTS[config.counts]
    _, highest = _ends(counts)
    weights = weigh(counts, counts)
    liked = 0.0
    if config.positive is not None:
        bound = pl.Series([config.positive], dtype=pl.Float64)
        liked = float(weigh(bound, counts)[0])
    top = highest if config.counts == "as_given" else 1.0
    return weights.cast(pl.Float32), RatingScale.implicit(top, like_from=min(liked, top))


def _log1p(values: pl.Series, counts: pl.Series) -> pl.Series:
    _, highest = _ends(counts)
    return values.cast(pl.Float64).log1p() / math.log1p(highest)


def _quantile(values: pl.Series, counts: pl.Series) -> pl.Series:
    """Share of the counts that are no larger."""
    places = np.searchsorted(counts.sort().to_numpy(), values.to_numpy(), side="right")
    return pl.Series(values.name, places / counts.len())


def _as_given(values: pl.Series, _: pl.Series) -> pl.Series:
    return values.cast(pl.Float64)


WEIGHTS: Final[Mapping[str, Callable[[pl.Series, pl.Series], pl.Series]]] = {
    "log1p": _log1p, "quantile": _quantile, "as_given": _as_given,
}  # fmt: skip
"""How a count becomes a weight: (values, all counts) -> weights."""


def _ends(values: pl.Series) -> tuple[float, float]:
    low, high = values.to_frame().select(low=pl.first().min(), high=pl.first().max()).row(0)
    return float(low), float(high)
