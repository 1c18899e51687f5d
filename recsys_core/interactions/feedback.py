"""What a rating says: the scale, from where on it means liked or disliked, and its weight."""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import model_validator

from recsys_core.columns import RATING
from recsys_core.section import Section

Feedback = Literal["explicit", "implicit"]
NEUTRAL_WEIGHT: Final = 0.5
"""Weight of a rating between disliked and liked, where no other is configured."""


class RatingScale(Section):
    """The scale of the ratings and its two thresholds (paper, section 2.2: 4 and 2 of 1 to 5).

    Implicit feedback (unary interactions, counts) has weights above 0 in the place of ratings:
    everything from `like_from` (0 unless told otherwise) up is liked, nothing is disliked.
    """

    feedback: Feedback = "explicit"
    """`explicit`: ratings that somebody gave; `implicit`: interactions, or counts of them."""
    rating_min: float = 1.0
    """Lowest rating of the scale."""
    rating_max: float = 5.0
    """Highest rating of the scale."""
    like_from: float = 4.0
    """Lowest rating that counts as liked."""
    dislike_from: float = 2.0
    """Highest rating that counts as disliked."""

    @model_validator(mode="after")
    def _ordered(self) -> "RatingScale":
        if not self.rating_min < self.rating_max:
            raise ValueError(f"rating_min {self.rating_min} must be below {self.rating_max}")
        if not self.rating_min <= self.dislike_from <= self.like_from <= self.rating_max:
            raise ValueError(
                f"thresholds negative={self.dislike_from} and positive={self.like_from} must be"
                f" ordered and inside the scale {self.rating_min} to {self.rating_max}"
            )
        return self

    @property
    def is_implicit(self) -> bool:
        """Whether the numbers are weights of interactions, not ratings."""
        return self.feedback == "implicit"

    @classmethod
    def between(
        cls,
        lowest: float,
        highest: float,
        *,
        like_from: float | None = None,
        dislike_from: float | None = None,
    ) -> "RatingScale":
        """Ratings of a scale; liked is three quarters up, disliked one quarter, unless given."""
        width = highest - lowest
        return cls(
            rating_min=lowest,
            rating_max=highest,
            like_from=lowest + 0.75 * width if like_from is None else like_from,
            dislike_from=lowest + 0.25 * width if dislike_from is None else dislike_from,
        )

    @classmethod
    def implicit(cls, highest: float = 1.0, *, like_from: float = 0.0) -> "RatingScale":
        """The scale of weights above 0 and up to `highest`."""
        return cls(
            feedback="implicit", rating_min=0.0, rating_max=highest, like_from=like_from,
            dislike_from=0.0,
        )  # fmt: skip


def is_liked(like_from: float) -> pl.Expr:
    """Whether the rating is relevant, compared as Float32: 3.6 is exact in neither type."""
    return pl.col(RATING).cast(pl.Float32) >= pl.lit(like_from, pl.Float32)


def rating_weight(scale: RatingScale, neutral: float = NEUTRAL_WEIGHT) -> pl.Expr:
    """Weight of a rating: liked 1, neutral `neutral`, disliked 0."""
    disliked = pl.col(RATING).cast(pl.Float32) <= pl.lit(scale.dislike_from, pl.Float32)
    other = pl.when(disliked).then(0.0).otherwise(neutral)
    return pl.when(is_liked(scale.like_from)).then(1.0).otherwise(other)


def rating_weights(
    ratings: npt.NDArray[np.float32], scale: RatingScale, neutral: float = NEUTRAL_WEIGHT
) -> npt.NDArray[np.float32]:
    """`rating_weight` of an array of ratings (n,)."""
    weights = pl.DataFrame({RATING: ratings}).select(rating_weight(scale, neutral)).to_series()
    return weights.cast(pl.Float32).to_numpy().astype(np.float32, copy=True)
