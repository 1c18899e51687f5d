"""Configuration of data sets, TMDB and splits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from recsys_core.bounded_yaml import read_yaml
from recsys_core.datasets.splits import FOLDS, KINDS
from recsys_core.section import Section

if TYPE_CHECKING:
    SplitKindName = str
else:  # a Literal, so that --help and the form offer the names of the table
    SplitKindName = Literal[tuple(KINDS)]


def _mapping(given: Any) -> Any:
    """`{user_id: userId}` as text, from a command line."""
    try:
        return read_yaml(given) if isinstance(given, str) else given
    except ValueError as error:
        raise ValueError(f"{given!r} is no mapping such as {{user_id: userId}}") from error


Role = Literal["labels", "prose", "number", "date"]


class DataConfig(Section):
    """Where the data come from, and how they are read."""

    # Where data lie is no part of a content key; `fingerprint` says what they hold.
    runtime_fields: ClassVar[frozenset[str]] = frozenset({
        "source", "folder", "interactions", "items", "users", "candidates", "exclude",
    })  # fmt: skip

    source: str = "ml-100k"
    """`ml-100k` or `ml-1m` (downloaded), or where the data are: a folder, a zip archive, a file or
    a glob, as path or URI. Read are Parquet, CSV, TSV, JSON lines, RecBole's atomic files, and the
    archives of every MovieLens."""
    folder: str | None = None
    """A folder or archive to look into before any download."""
    interactions: str | None = None
    """File, folder of parts or glob of the interactions, where it is not found in `source`."""
    items: str | None = None
    """The same for the items. Without an items table every item is its id."""
    users: str | None = None
    """File, folder of parts or glob of the users, with what is known of them beside their
    interactions, where it is not found in `source`."""
    columns: Annotated[dict[str, str | tuple[str, ...]], BeforeValidator(_mapping)] = Field(
        default={}
    )
    """Names of the file's columns, for example `{user_id: buyer, title: name}`; several names in
    order of preference. Usual names are recognised without it, and the run says which."""
    feedback: Literal["auto", "explicit", "implicit"] = "auto"
    """`explicit`: ratings; `implicit`: interactions or counts of them (purchases, plays, hours),
    all of them liked and none disliked; `auto`: told from the data, and the run says which."""
    rating_min: float | None = None
    """Lowest rating of the scale. Default: told from the data."""
    rating_max: float | None = None
    """Highest rating of the scale. Default: told from the data."""
    positive: float | None = None
    """Ratings (or counts) from here up are liked. Default: three quarters up the scale (4 of 1-5);
    with implicit feedback everything."""
    negative: float | None = None
    """Ratings up to here are disliked. Default: one quarter up the scale (2 of 1-5)."""
    out_of_scale: Literal["error", "clip", "drop"] = "error"
    """Ratings outside the scale: refuse them, move them to its ends, or drop their rows."""
    counts: Literal["log1p", "quantile", "as_given"] = "log1p"
    """How counts become weights of implicit feedback."""
    repeats: Literal["last", "max", "mean", "sum", "error"] | None = None
    """What becomes of several rows of one user and item. Default: the last rating, the sum of
    implicit feedback."""
    unknown_items: Literal["keep", "drop", "error"] = "keep"
    """Interactions with items that the items table lacks: they teach, and the items are never
    recommended (`keep`); they are dropped; or they are refused."""
    min_user_interactions: int = Field(default=0, ge=0)
    """Leave out users with fewer interactions, until all have as many (k-core). 0: nobody."""
    min_item_interactions: int = Field(default=0, ge=0)
    """Leave out interactions with items that have fewer, until all have as many. 0: none."""
    text_columns: Annotated[dict[str, Role], BeforeValidator(_mapping)] = Field(default={})
    """Further columns of the items that profiles, prompts and embeddings shall see, with a role:
    `labels` (names, keywords; become themes), `prose`, `number` or `date`. Title, year, genres,
    overview, keywords, cast and directors are always seen."""
    candidates: str | None = None
    """File with the only items that may be recommended (stock, region)."""
    exclude: str | None = None
    """File with items that may not be recommended. Their history teaches all the same."""
    allow_repeats: bool = False
    """Recommend items that the user knows, too."""

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> "DataConfig":
        ends = [one for one in (self.rating_min, self.negative, self.positive, self.rating_max)
                if one is not None]  # fmt: skip
        if ends != sorted(ends) or (
            self.rating_min is not None and self.rating_min == self.rating_max
        ):
            raise ValueError(
                f"rating_min={self.rating_min}, negative={self.negative},"
                f" positive={self.positive} and rating_max={self.rating_max} must be in this order"
            )
        return self


class TmdbConfig(Section):
    """Overviews, keywords, cast and directors from The Movie Database (TMDB)."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset({
        "api_key_env", "cache_file", "requests_per_10_s",
    })  # fmt: skip
    former_names: ClassVar[Mapping[str, str]] = {
        "requests_per_window": "set requests_per_10_s",
        "window_s": "the window is 10 s; set requests_per_10_s",
        "backoff_s": "leave it out: waits double from 1 s",
        "backoff_max_s": "leave it out: no wait is longer than 60 s",
        "cast_size": "leave it out: the first five actors are kept",
        "max_in_flight": "leave it out: eight items are looked up at a time",
        "timeout_s": "leave it out: an answer is waited for 20 s",
        "max_attempts": "leave it out: a request is tried six times",
    }

    enabled: bool = True
    """Whether TMDB is asked where a key is set."""
    api_key_env: str = Field(default="TMDB_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key: a v3 API key or a v4 read access token."""
    overwrite: bool = False
    """Take TMDB's texts even where the data set has its own."""
    language: str = Field(default="en-US", pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")
    """Language of overviews and titles."""
    base_url: str = Field(default="https://api.themoviedb.org/3", pattern=r"^https?://[^@?#\s]+$")
    """Address of the API; a proxy of your own where the machine cannot reach TMDB's."""
    cache_file: str = ".cache/tmdb.sqlite"
    """File of TMDB's answers; none of them is asked for twice. Remove it to ask anew."""
    requests_per_10_s: int = Field(default=40, ge=1)
    """Requests in any 10 seconds, per process; retries count. TMDB has allowed 40; less where
    several machines share a key."""


Parts = Literal["train", "train+valid"]


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
    seed: int | None = Field(default=None, ge=0)
    """Of what is drawn; null takes the run's seed. With it, runs of other seeds are measured on the
    same interactions."""
    moment: str | None = None
    """Kind `time`: when test begins, a date or time (`2015-03-31`) or seconds since 1970."""
    time_share: float = Field(default=0.8, gt=0, lt=1)
    """Kind `time` without a moment: share of all interactions that lies before it. The moment that
    follows is recorded in the split; give it as `moment` to keep it when data are added."""
    last: int = Field(default=1, ge=1)
    """Kind `last`: interactions of each user that are test, and as many before them valid."""
    learned: Parts = "train+valid"
    """What the served model learns from, once its choices are made on valid."""
    shown: Parts = "train+valid"
    """Which interactions a user is placed by when lists are made, by baselines and by the graph
    model, which folds users in where it learned from others."""
    masked: Parts = "train+valid"
    """Which interactions a list leaves out (none with data.allow_repeats)."""
