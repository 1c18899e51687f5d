"""How far the data have moved on since a model was trained."""

from datetime import datetime

import polars as pl
from pydantic import BaseModel, ConfigDict

from recsys_core.columns import ITEM, USER


class Drift(BaseModel):
    """What came since the training."""

    model_config = ConfigDict(frozen=True)

    since: datetime
    """When the model was made (UTC)."""
    ratings: int
    """Ratings of the data set then."""
    came: int
    """Ratings that came since, as far as they are known."""
    share: float
    """Of the two."""
    retrain: bool
    """Whether the share is at the threshold, or above."""

    @classmethod
    def of(cls, since: datetime, ratings: int, came: int, threshold: float) -> "Drift":
        """From two counts."""
        share = came / max(ratings, 1)
        return cls(
            since=since, ratings=ratings, came=came, share=round(share, 4),
            retrain=share >= threshold,
        )  # fmt: skip

    def sentence(self) -> str:
        """The same in words."""
        advice = "it is time to retrain" if self.retrain else "no need to retrain yet"
        return (
            f"The model stands since {self.since:%Y-%m-%d %H:%M} UTC with {self.ratings:,} ratings;"
            f" {self.came:,} came since ({self.share:.1%}): {advice}."
        )


def new_pairs(ratings: pl.DataFrame, known: pl.DataFrame) -> int:
    """How many of some ratings are of pairs that a model does not know."""
    return ratings.join(known, on=[USER, ITEM], how="anti").height
