"""Configuration of data sets, TMDB and splits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from recsys_core.datasets.splits import FOLDS, KINDS
from recsys_core.interactions.feedback import RatingScale
from recsys_core.section import Section

if TYPE_CHECKING:
    SplitKindName = str
else:  # a Literal, so that --help and the form offer the names of the table
    SplitKindName = Literal[tuple(KINDS)]


class DataConfig(Section):
    """Where the data come from and how ratings are read."""

    # Where data lie is no part of a content key; `fingerprint` says what they hold.
    runtime_fields: ClassVar[frozenset[str]] = frozenset({"source", "folder"})

    source: str = "ml-100k"
    """`ml-100k`, `ml-1m`, or a folder (path or URI) with interactions.parquet and items.parquet."""
    folder: str | None = None
    """A local folder to look into before any download: the archive, its files, or Parquet."""
    rating_min: float = 1.0
    """Lowest rating of the scale; a rating outside the scale is an error."""
    rating_max: float = 5.0
    """Highest rating of the scale."""
    positive: float | None = None
    """Ratings from here up are liked. Default: three quarters up the scale (4 of 1-5)."""
    negative: float | None = None
    """Ratings up to here are disliked. Default: one quarter up the scale (2 of 1-5)."""

    @model_validator(mode="after")
    def _valid_scale(self) -> "DataConfig":
        _ = self.scale
        return self

    @property
    def scale(self) -> RatingScale:
        """The scale and its thresholds, those not given filled in."""
        low, width = self.rating_min, self.rating_max - self.rating_min
        return RatingScale(
            rating_min=low,
            rating_max=self.rating_max,
            like_from=low + 0.75 * width if self.positive is None else self.positive,
            dislike_from=low + 0.25 * width if self.negative is None else self.negative,
        )


class TmdbConfig(Section):
    """Overviews, keywords, cast and directors from The Movie Database (TMDB)."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset({
        "api_key_env", "cache_file", "requests_per_10_s", "max_in_flight", "timeout_s",
        "max_attempts",
    })  # fmt: skip
    former_names: ClassVar[Mapping[str, str]] = {
        "requests_per_window": "set requests_per_10_s",
        "window_s": "the window is 10 s; set requests_per_10_s",
        "backoff_s": "leave it out: waits double from 1 s",
        "backoff_max_s": "leave it out: no wait is longer than 60 s",
    }

    enabled: bool = True
    """Whether TMDB is asked where a key is set."""
    api_key_env: str = Field(default="TMDB_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key: a v3 API key or a v4 read access token."""
    overwrite: bool = False
    """Take TMDB's texts even where the data set has its own."""
    language: str = Field(default="en-US", pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")
    """Language of overviews and titles."""
    cast_size: int = Field(default=5, ge=0, le=100)
    """Actors kept per item, in billing order."""
    base_url: str = Field(default="https://api.themoviedb.org/3", pattern=r"^https?://[^@?#\s]+$")
    """Address of the API."""
    cache_file: str = ".cache/tmdb.sqlite"
    """File of TMDB's answers; none of them is asked for twice. Remove it to ask anew."""
    requests_per_10_s: int = Field(default=40, ge=1)
    """Requests in any 10 seconds, per process; retries count. TMDB has allowed 40."""
    max_in_flight: int = Field(default=8, ge=1, le=256)
    """Items looked up at a time."""
    timeout_s: float = Field(default=20.0, gt=0)
    """Longest wait for one answer, in seconds."""
    max_attempts: int = Field(default=6, ge=1, le=20)
    """Attempts per request at time-outs, resets, 429 and 5xx."""


class SplitConfig(Section):
    """How interactions are divided into train, validation and test."""

    kind: SplitKindName = Field(
        default="auto",
        description="; ".join(f"`{name}`: {kind.help}" for name, kind in KINDS.items()),
    )
    fold: int = Field(default=1, ge=1, le=FOLDS)
    """Which of the five folds is the test split."""
    valid_share: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of the training interactions held out for early stopping."""
