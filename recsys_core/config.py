"""The configuration of a run: frozen models, a line of help under every field.

The same text is the help of `python -m flows.personalize --help` and of the Prefect form.
A step receives only the section it depends on, so a change elsewhere leaves its cache alone.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar, get_args, overload

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from recsys_core.errors import ConfigError


class Section(BaseModel):
    """Base of every section: frozen, no unknown keys, field docstrings become help texts."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=()
    )

    runtime_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that change how work is done but not its result; content keys leave them out."""

    def identity(self) -> dict[str, Any]:
        """What content keys are made of."""
        return self.model_dump(mode="json", exclude=set(self.runtime_fields))


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
    def _ordered(self) -> "DataConfig":
        if not self.rating_min < self.rating_max:
            raise ValueError(f"rating_min {self.rating_min} must be below {self.rating_max}")
        if not self.rating_min <= self.dislike_from <= self.like_from <= self.rating_max:
            raise ValueError(
                f"thresholds negative={self.dislike_from} and positive={self.like_from} must be"
                f" ordered and inside the scale {self.rating_min} to {self.rating_max}"
            )
        return self

    @property
    def like_from(self) -> float:
        """Lowest rating that counts as liked."""
        return self._at(0.75) if self.positive is None else self.positive

    @property
    def dislike_from(self) -> float:
        """Highest rating that counts as disliked."""
        return self._at(0.25) if self.negative is None else self.negative

    def _at(self, share: float) -> float:
        return self.rating_min + share * (self.rating_max - self.rating_min)


class TmdbConfig(Section):
    """Overviews, keywords, cast and directors from The Movie Database (TMDB)."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset({
        "api_key_env", "cache_file", "requests_per_window", "window_s", "max_in_flight",
        "timeout_s", "max_attempts", "backoff_s", "backoff_max_s",
    })  # fmt: skip

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
    requests_per_window: int = Field(default=40, ge=1)
    """Requests in any window, per process; retries count."""
    window_s: float = Field(default=10.0, gt=0)
    """Length of the window in seconds."""
    max_in_flight: int = Field(default=8, ge=1, le=256)
    """Items looked up at a time."""
    timeout_s: float = Field(default=20.0, gt=0)
    """Longest wait for one answer, in seconds."""
    max_attempts: int = Field(default=6, ge=1, le=20)
    """Attempts per request at time-outs, resets, 429 and 5xx."""
    backoff_s: float = Field(default=1.0, ge=0)
    """Wait before the second attempt; it doubles with every further one, with jitter."""
    backoff_max_s: float = Field(default=60.0, ge=0)
    """Longest wait between attempts; a longer Retry-After ends the step."""


class SplitConfig(Section):
    """How interactions are divided into train, validation and test."""

    kind: Literal["auto", "blocks", "random"] = "auto"
    """`blocks`: five consecutive blocks of the file (MovieLens 100K's official folds u1-u5);
    `random`: five seeded random blocks; `auto`: blocks for MovieLens 100K in its own order."""
    fold: int = Field(default=1, ge=1, le=5)
    """Which of the five folds is the test split."""
    valid_share: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of the training interactions held out for early stopping."""


class LLMConfig(Section):
    """Who writes profiles, judges candidates and explains."""

    model: str = "rules"
    """`rules` (no LLM), or any model name that litellm knows, such as `openai/gpt-4.1-mini`."""
    api_base: str | None = None
    """Address of an OpenAI-compatible endpoint (`http://127.0.0.1:8000/v1`). Default: the
    provider's own."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key. Default: the provider's own, such as
    `OPENAI_API_KEY`. The key itself never stands in a configuration."""
    api_key_block: str | None = None
    """Name of a Prefect Secret block that holds the key, instead of the environment."""
    transport: Literal["auto", "direct", "litellm"] = "auto"
    """`litellm` reaches every provider; `direct` speaks to OpenAI-compatible endpoints at a tenth
    of the CPU per call; `auto` is direct for models named `openai/...`."""
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    """Sampling temperature; null leaves it to the endpoint. Never sent to reasoning models."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling; null leaves it to the endpoint. Never sent to reasoning models."""
    seed: int | None = None
    """Sampling seed for endpoints that take one."""
    reasoning: bool | None = None
    """Whether the model reasons before it answers. Default: by name (o1, o3, o4-mini, gpt-5)."""
    reasoning_effort: Literal["minimal", "low", "medium", "high"] | None = None
    """Effort asked of a reasoning model; null leaves it to the endpoint."""
    reasoning_tokens: int = Field(default=4000, ge=0)
    """Room for a reasoning model's thoughts on top of the answer's own maximum."""
    schema_mode: Literal["auto", "always", "never"] = "auto"
    """Whether the JSON schema is sent as `response_format`; `auto` sends it, and asks for it in
    the prompt instead where the endpoint rejects it (counted)."""
    tailored_schemas: bool = False
    """Write the ids that may be answered into the schema of every call. For a server of your own
    that holds the model to a schema (llama.cpp, vLLM): small models then rarely answer in vain.
    Hosted ones prepare every new schema for seconds."""
    max_in_flight: int = Field(default=16, ge=1, le=1024)
    """Calls at a time, per process and model."""
    requests_per_minute: float | None = Field(default=None, ge=1)
    """Limit of requests per minute, per process and model; retries count."""
    tokens_per_minute: float | None = Field(default=None, ge=1)
    """Limit of tokens per minute, in and out, per process and model."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Longest wait for one answer, in seconds."""
    max_attempts: int = Field(default=6, ge=1, le=20)
    """Attempts per call at time-outs, resets, 408, 409, 429 and 5xx."""
    backoff_s: float = Field(default=1.0, ge=0)
    """Wait before the second attempt; it doubles with every further one, with jitter."""
    backoff_max_s: float = Field(default=60.0, ge=0)
    """Longest wait between attempts; a longer Retry-After ends the call."""
    on_invalid: Literal["fallback", "stop"] = "fallback"
    """When an answer is not valid even after one repair call: `fallback` writes that text by
    rules, marked as failed and counted; `stop` ends the run."""
    max_failed_share: float = Field(default=0.05, ge=0, le=1)
    """Share of failed answers above which `fallback` ends the run all the same."""
    on_unavailable: Literal["stop", "fallback"] = "stop"
    """When the endpoint gives no answer after all attempts: end the run (answers are kept), or
    treat it like an invalid answer."""
    retry_failed: bool = False
    """Ask again where the cached answers are not valid. Otherwise they are not paid for twice."""
    max_dollars: float | None = Field(default=None, ge=0)
    """Hard ceiling of a run's spending in dollars."""
    max_tokens: int | None = Field(default=None, ge=0)
    """Hard ceiling of a run's tokens, in and out."""
    input_price: float | None = Field(default=None, ge=0)
    """Dollars per million tokens in. Default: litellm's bundled price list."""
    output_price: float | None = Field(default=None, ge=0)
    """Dollars per million tokens out. Default: litellm's bundled price list."""
    cache_url: str | None = None
    """SQLAlchemy URL of the cache of answers; `$NAME` stands for an environment variable (a URL
    with a password must come from one). Default: `llm.sqlite` in the artifact root."""
    batch: bool = False
    """Send calls as OpenAI-style batch files: half the price, answers within a day."""
    batch_quiet_s: float = Field(default=2.0, gt=0)
    """A batch is sent when no further call has come for this long."""
    batch_poll_s: float = Field(default=30.0, gt=0)
    """Seconds between two looks at a batch."""

    @model_validator(mode="after")
    def _one_price_alone(self) -> "LLMConfig":
        if (self.input_price is None) != (self.output_price is None):
            raise ValueError("input_price and output_price go together: give both or neither")
        return self

    @property
    def uses_model(self) -> bool:
        """Whether a language model is asked at all."""
        return self.model != "rules"

    def identity(self) -> dict[str, Any]:
        """The fields that shape the answers; limits, prices and budgets only shape the run."""
        fields = {"model"}
        if self.uses_model:
            fields |= {"temperature", "top_p", "seed", "reasoning", "reasoning_effort"}
            fields |= {"schema_mode", "tailored_schemas", "on_invalid", "on_unavailable"}
        return self.model_dump(mode="json", include=fields)


class ProfileConfig(Section):
    """Item and user profiles."""

    # Where ready-made profiles lie is no part of a content key; their content's hash is.
    runtime_fields: ClassVar[frozenset[str]] = frozenset({"items_file", "users_file"})

    max_liked: int = Field(default=10, ge=0, le=50)
    """Liked items shown per user, the most telling first."""
    max_disliked: int = Field(default=10, ge=0, le=50)
    """Disliked items shown per user."""
    batch_size: int = Field(default=5, ge=1, le=20)
    """Items per turn of the user profile's multi-turn refinement."""
    items_per_call: int = Field(default=1, ge=1, le=10)
    """Items whose profiles one call writes. More are cheaper (the instructions are sent once), and
    a change of one item, or a bad answer about one, concerns all items of its call."""
    items_file: str | None = None
    """Parquet of ready-made item profiles (item_id, profile as Markdown); the rest are written."""
    users_file: str | None = None
    """Parquet of ready-made user profiles (user_id, profile as Markdown). They must come from
    this fold's training ratings only: the run cannot see from which ratings they were written."""


class EmbeddingConfig(Section):
    """Text embeddings of the profiles."""

    model: str = "all-MiniLM-L6-v2"
    """The packaged all-MiniLM-L6-v2, or any sentence-transformers folder or hub id."""
    backend: Literal["auto", "openvino", "torch"] = "auto"
    """`openvino` is several times faster on CPU; `auto` takes it unless CUDA is there."""
    batch_size: int = Field(default=32, ge=1)
    """Texts per forward pass."""


class GraphConfig(Section):
    """The graph attention network and its training.

    `preset` sets every field that is not given; the defaults below are those of `best`.
    """

    runtime_fields: ClassVar[frozenset[str]] = frozenset({"checkpoint_every", "warm_start_from"})

    preset: Literal["paper", "best"] = "best"
    """`paper`: section 2.2 of the paper (liked edges only, feature transforms, BPR and cosine
    loss), with id vectors beside the profiles, without which our training stays far below the
    authors' lists; `best`: what won on held-out ratings (all ratings as edges, light attention
    layers, softmax over all items, practice of the cold start, and regressions and waves of time
    beside the network)."""
    layers: int = Field(default=3, ge=1, le=6)
    """GAT layers."""
    hidden: int = Field(default=64, ge=1)
    """Hidden units per head."""
    heads: int = Field(default=4, ge=1)
    """Attention heads."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout on features."""
    transform: bool = False
    """Whether a layer has its own weights, layer norm, LeakyReLU and residual connection."""
    symmetric: bool = True
    """Whether attention starts from symmetric normalisation, which discounts neighbours that have
    many edges, instead of from a plain mean; a mean of several layers blurs."""
    combine: Literal["last", "mean"] = "mean"
    """Output: the last layer, or the mean of the input and every layer."""
    edges: Literal["liked", "all"] = "all"
    """Edges that carry messages: liked ones, or all, each level of rating with its own weight."""
    id_rank: int = Field(default=16, ge=0)
    """Learned id vectors start from the spectrum of the training matrix up to this rank; 0 has
    none, so that profiles alone describe a node."""
    loss: Literal["bpr", "softmax"] = "softmax"
    """`bpr`: BPR and cosine alignment of the dot product; `softmax`: cross-entropy over all items
    of cosine / temperature + item bias."""
    temperature: float | None = Field(default=None, gt=0)
    """Temperature of the softmax loss; null takes .25 for up to 100,000 ratings, and less for more,
    by the fifth root of their number."""
    practice_users: float = Field(default=0.35, ge=0, le=1)
    """Share of the users that play new in each epoch, with a few of their ratings and no id
    vector: so the model learns to serve users who come after training (whole graph only)."""
    practice_items: float = Field(default=0.05, ge=0, lt=1)
    """Share of the items that play new in each epoch, with their profile alone."""
    item_features: bool = True
    """Whether an item is described by its facts, its year and the labels and words of its profile,
    too, beside the vector of its text; without, by that vector alone (as in the paper)."""
    user_text_scale: float = Field(default=0.3, ge=0)
    """What vectors of the users' texts are multiplied by: a profile says little that the ratings
    of a user do not say better, and where a user has none, what is left still points somewhere."""
    user_text_ratings: float | None = Field(default=10.0, gt=0)
    """Ratings after which a user's text counts half; null counts it in full for everybody."""
    new_item_penalty: float = Field(default=1.0, ge=0)
    """Penalty of the ridge regression that reads the final vectors of items without ratings from
    their features, averaged with what the model makes of them; 0 leaves it to the model."""
    item_to_item: float = Field(default=5.0, ge=0)
    """Weight of an item-to-item regression (EASE, told which items have like features) beside the
    network, in the same dot product; 0 leaves it out, and so do more than 20,000 items."""
    user_attributes: float = Field(default=2.0, ge=0)
    """Weight of a user's age, country and whatever else the table of users tells, beside one liked
    item, in the item-to-item regression; 0 leaves them out."""
    rating_deviations: float = Field(default=1.5, ge=0)
    """Weight of a regression of how much better than usual a user rates an item on how much better
    than usual they rated others, in the same dot product; 0 leaves it out, and so do ratings that
    are all alike, or more than 20,000 items."""
    time_lift: float = Field(default=0.3, ge=0)
    """Weight of what was rated more than usual in the weeks in which a user was active, in the same
    dot product; 0 leaves it out, and so do ratings without timestamps."""
    neutral_weight: float = Field(default=0.5, ge=0, le=1)
    """Weight of ratings between disliked and liked as targets of the softmax loss."""
    bpr_weight: float = Field(default=5.0, ge=0)
    """Weight of the BPR loss."""
    cosine_weight: float = Field(default=2.0, ge=0)
    """Weight of the cosine alignment of positive pairs."""
    negatives: Literal["uniform", "popularity", "robust"] = "uniform"
    """Items that the BPR loss takes as worse than a liked one, never one that the user has
    rated: any alike, popular ones more often, or (`robust`) in part what the user disliked."""
    popularity_exponent: float = Field(default=0.75, ge=0, le=2)
    """`popularity`: an unknown item's chance is in proportion to this power of its number of
    ratings."""
    disliked_share: float = Field(default=0.5, ge=0, le=1)
    """`robust`: share of the negatives of a user with dislikes that are disliked items."""
    learning_rate: float = Field(default=1e-2, gt=0)
    """Peak learning rate of AdamW."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay of AdamW; id vectors and biases have none."""
    max_epochs: int | None = Field(default=None, ge=1)
    """Upper bound of epochs; null takes 60 for up to 100,000 ratings, and more for more, by the
    fifth root of their number."""
    evaluate_every: int = Field(default=5, ge=1)
    """Epochs between two validations."""
    patience: int = Field(default=3, ge=1)
    """Validations without a better NDCG@10 before training stops."""
    retrain: bool = True
    """Train once more on training and validation rows, for the number of epochs found."""
    batch_edges: int | None = Field(default=None, ge=0)
    """Liked pairs per step, each step on sampled neighbours of theirs: what a step needs does not
    grow with the data. 0 trains on the whole graph at once; null does so up to 10 million ratings,
    and takes 131,072 pairs beyond."""
    neighbours: int = Field(default=25, ge=1)
    """Neighbours that are sampled per node and layer, where a step has some of the pairs."""
    warm_start_from: str | None = None
    """An earlier run whose model training goes on from, where data changed a little: its name
    under `runs_root` (`latest` is the last one), or its folder. A model that has seen what this
    run holds out for validation or test is not used, and the summary says so; with `refit`,
    the served model holds nothing out."""
    checkpoint_every: int = Field(default=20, ge=0)
    """Epochs between two checkpoints, from which a training that was killed goes on, to the same
    result; 0 writes none."""
    backend: Literal["auto", "dgl", "torch"] = "auto"
    """Kernels of message passing; `auto` takes the faster one, which is `torch`."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes CUDA where there is some, else the CPU, and says so."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of dense products: `auto` takes bfloat16 on a CUDA device that has it, else float32. Sums
    over neighbours, losses and parameters always have 32 bits."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("preset") == "paper":
            return {**_PAPER_GRAPH, **given}
        return given

    def for_ratings(self, count: int) -> "TrainingConfig":
        """The same with nothing left open, for a training on `count` ratings.

        The more ratings there are, the sharper may the model tell items apart, and the longer does
        it learn to.
        """
        growth = max(1.0, count / _FEW_RATINGS) ** 0.2
        found = {
            "temperature": self.temperature or 0.25 / growth,
            "max_epochs": self.max_epochs or round(60 * growth),
        }
        return TrainingConfig.model_validate(self.model_dump() | found)


_FEW_RATINGS: Final = 100_000


class TrainingConfig(GraphConfig):
    """`GraphConfig` with nothing left open; made by its `for_ratings`."""

    temperature: float = Field(gt=0)
    max_epochs: int = Field(ge=1)


_PAPER_GRAPH: Mapping[str, Any] = {
    "layers": 3, "hidden": 64, "heads": 4, "dropout": 0.1, "transform": True, "combine": "last",
    "edges": "liked", "id_rank": 64, "loss": "bpr", "learning_rate": 3e-3, "max_epochs": 300,
    "evaluate_every": 10, "patience": 5, "practice_users": 0.0, "practice_items": 0.0,
    "symmetric": False, "item_to_item": 0.0, "item_features": False, "user_text_scale": 1.0,
    "user_text_ratings": None, "new_item_penalty": 0.0, "rating_deviations": 0.0,
    "time_lift": 0.0, "user_attributes": 0.0,
}  # fmt: skip


Strategy = Literal["prompt-level", "pairwise", "overlapping", "relevancy", "none"]
"""How candidates are judged."""


class RerankConfig(Section):
    """How the LLM judges the top candidates; their fusion with the graph score is `fusion`."""

    strategy: Strategy = "relevancy"
    """How candidates are judged: `prompt-level` ranks all of them in one call, `pairwise` sorts
    them by comparisons of two, `overlapping` ranks overlapping batches, `relevancy` scores every
    one in several batches; `none` keeps the graph's order."""
    candidates: int = Field(default=20, ge=1, le=200)
    """Candidates per user that are judged and explained."""
    batch_size: int = Field(default=5, ge=2, le=20)
    """Items per judgement (`relevancy`, `overlapping`)."""
    repeats: int = Field(default=3, ge=1, le=10)
    """`relevancy`: judgements per item, each among different companions; their mean counts."""
    overlap: int = Field(default=2, ge=1, le=19)
    """`overlapping`: items that a batch shares with the next one, fewer than `batch_size`. More
    overlap means more calls and less harm by single wrong judgements."""
    both_orders: bool = False
    """`pairwise`: ask every pair in both orders; where the two answers disagree, each counts half.
    Twice the calls, without a model's preference for the first or the second place."""

    @model_validator(mode="after")
    def _batches_move_on(self) -> "RerankConfig":
        if self.strategy == "overlapping" and self.overlap >= self.batch_size:
            raise ValueError(f"overlap {self.overlap} must be below batch_size {self.batch_size}")
        return self


class FusionConfig(Section):
    """The order that is served: the LLM's judgement and the graph's, and whose lists it changes."""

    policy: Literal["all", "cold-only", "auto", "none"] = "auto"
    """Whose lists are reranked: everybody's, those of users with fewer than `cold_below` training
    interactions, nobody's; `auto` takes what is best on validation, ties going to the graph."""
    llm_weight: float = Field(default=0.8, ge=0, le=1)
    """Weight of the LLM score; the graph score has the rest."""
    scale: Literal["score", "rank"] = "score"
    """How the two scores are made comparable per user: linearly from lowest to highest, or by
    rank."""
    cold_below: int = Field(default=10, ge=1)
    """Users with fewer training interactions are cold."""
    auto_users: int = Field(default=200, ge=1)
    """Most users that are judged on validation for `auto`, the cold ones first."""
    judge_everyone: bool = True
    """Judge also those whom the policy leaves to the graph, so that the report can show what
    reranking everybody would do; `false` saves these calls."""


class ExplanationConfig(Section):
    """The reasons."""

    # The judge reads what was written and changes nothing of it.
    runtime_fields: ClassVar[frozenset[str]] = frozenset({"judge", "judge_users"})

    batch: int = Field(default=20, ge=1, le=200)
    """Titles explained per request; fewer for models with a small context."""
    judge: bool = False
    """Let the language model judge reasons, too, beside the automatic measures: whether they are
    supported, and how convincing. A call per judged user."""
    judge_users: int = Field(default=50, ge=1)
    """Users whose first five reasons are judged, drawn by the seed."""


class FanOutConfig(Section):
    """How the work of language models is spread over tasks; it changes no result."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset({
        "shard_users", "shards_at_once", "runner", "dask_address", "dask_workers",
    })  # fmt: skip

    shard_users: int = Field(default=64, ge=1)
    """Users per task and artifact where a language model is asked; a run that was killed goes on
    with the unfinished ones. Rules take all users at once."""
    shards_at_once: int = Field(default=2, ge=1, le=64)
    """Tasks under way at a time. Two keep a model busy; more threads wait for the interpreter. On
    a Dask cluster: as many as it has workers."""
    runner: Literal["threads", "dask"] = "threads"
    """Where these tasks run: in threads of the run's process, or on the workers of a Dask cluster
    (extra `ops`), each of which has limits of its own of calls and tokens."""
    dask_address: str | None = Field(default=None, pattern=r"^(tcp|tls|ws|wss)://[^@\s]+$")
    """Scheduler of a Dask cluster, such as `tcp://scheduler:8786`; its workers have this code and
    reach the artifact root. Default: a cluster of processes on this machine, for the run."""
    dask_workers: int = Field(default=2, ge=1, le=64)
    """Processes of a cluster on this machine."""


class EvaluationConfig(Section):
    """What is measured."""

    cutoffs: tuple[int, ...] = (1, 5, 10, 20, 30, 40, 50)
    """Cut-offs k of every metric."""
    cold_below: int = Field(default=10, ge=1)
    """Users with fewer training interactions are cold-start users."""
    bootstrap: int = Field(default=1000, ge=0)
    """Bootstrap resamples of users for the 95 % intervals; 0 leaves them out."""


def _artifacts_place() -> str:
    return os.environ.get("RECSYS_ARTIFACTS") or "artifacts"


def _runs_place() -> str:
    return os.environ.get("RECSYS_RUNS") or "runs"


def _placed(given: str) -> str:
    # What the forms of deployments hold: the worker's own places, not those of who deployed.
    places = {"$RECSYS_ARTIFACTS": _artifacts_place, "$RECSYS_RUNS": _runs_place}
    return places[given]() if given in places else given


Place = Annotated[str, AfterValidator(_placed)]


class RunConfig(Section):
    """A whole run of the pipeline."""

    data: DataConfig = DataConfig()
    tmdb: TmdbConfig = TmdbConfig()
    split: SplitConfig = SplitConfig()
    llm: LLMConfig = LLMConfig()
    profiles: ProfileConfig = ProfileConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    graph: GraphConfig = GraphConfig()
    rerank: RerankConfig = RerankConfig()
    fusion: FusionConfig = FusionConfig()
    explanations: ExplanationConfig = ExplanationConfig()
    fan_out: FanOutConfig = FanOutConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: int = Field(default=0, ge=0)
    """Seed of every random choice."""
    refit: bool = False
    """Train once more on all interactions for the lists that are served; metrics stay the
    evaluation's own."""
    dry_run: bool = False
    """Only say how many calls the language model would get, and what they would cost."""
    artifact_root: Place = Field(default_factory=_artifacts_place)
    """Folder or URI of the artifacts, where every step's output is kept by content key. Default:
    the environment variable RECSYS_ARTIFACTS, else `artifacts`."""
    runs_root: Place = Field(default_factory=_runs_place)
    """Folder of the runs' outputs; `latest` points to the last one. Default: the environment
    variable RECSYS_RUNS, else `runs`."""
    run_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    """Name of the run's folder. Default: the time and the data set."""

    @model_validator(mode="after")
    def _a_judge_is_a_model(self) -> "RunConfig":
        if self.explanations.judge and not self.llm.uses_model:
            raise ValueError("explanations.judge needs a language model, and llm.model is rules")
        return self


Method = Literal[
    "popularity", "item_knn", "ease", "ease_popularity", "als", "bpr", "lightgcn", "lightgcn_bpr",
    "ngcf", "gat_best", "gat_best_no_llm", "gat_best_integrated", "gat_best_facts",
    "gat_best_no_attributes", "gat_best_prompt_level", "gat_best_pairwise", "gat_best_overlapping",
    "gat_best_relevancy", "gat_paper", "gat_paper_no_llm", "gat_paper_integrated",
    "gat_paper_no_cosine", "gat_paper_prompt_level", "gat_paper_pairwise", "gat_paper_overlapping",
    "gat_paper_relevancy",
]  # fmt: skip
"""What `reproduce_paper` compares: baselines, and the graph model in its variants."""


def _paper_preset(given: Any) -> Any:
    return {"preset": "paper", **given} if isinstance(given, dict) else given


class ReproduceConfig(Section):
    """Every method on every fold: the paper's figure, table and ablations."""

    data: DataConfig = DataConfig()
    large_data: DataConfig = DataConfig(source="ml-1m")
    folds: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(
        default=(1, 2, 3, 4, 5), min_length=1
    )
    """Folds of `data`, for example `1,2`."""
    large_folds: tuple[Annotated[int, Field(ge=1, le=5)], ...] = ()
    """Folds of `large_data`; the paper's study has fold 1. It takes hours on a CPU."""
    cold_seeds: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 2)
    """Draws of the cold-start protocols on `data`: users who come after training and show 0 to 9
    ratings, and items that come after it. Empty (`[]`) leaves them out."""
    methods: tuple[Method, ...] = Field(default=get_args(Method), min_length=1)
    """Methods to compare, separated by commas. A `no_llm` model has learned id vectors and no
    text, `integrated` the plain concatenation of title, genres and overview in place of the
    profile, `facts` title, year and genres, `no_cosine` the BPR loss alone, `no_attributes` nothing
    of the table of users; `prompt_level`, `pairwise`, `overlapping` and `relevancy` are the model's
    lists reranked by that strategy."""
    paper_folder: str | None = None
    """Folder with the authors' published item_profiles.parquet, user_profiles.parquet (used with
    fold 1 of `data` only: they come from its training ratings), recommendations/*.parquet (lists
    for fold 1) and table1.csv; each of them may be missing, and the page says so."""
    reference: Method = "gat_best"
    """Method that every other one is compared with, user by user."""
    llm: LLMConfig = LLMConfig()
    profiles: ProfileConfig = ProfileConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    best: GraphConfig = GraphConfig()
    paper: Annotated[GraphConfig, BeforeValidator(_paper_preset)] = GraphConfig(preset="paper")
    rerank: RerankConfig = RerankConfig()
    fan_out: FanOutConfig = FanOutConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    valid_share: float = SplitConfig.model_fields["valid_share"].default
    """Share of the training interactions that choices are made on."""
    at_once: int = Field(default=1, ge=1, le=64)
    """Folds and methods under way at a time, each in a process of its own."""
    seed: int = Field(default=0, ge=0)
    """Seed of every random choice."""
    artifact_root: Place = Field(default_factory=_artifacts_place)
    """Folder or URI of the artifacts; every (fold, method) is one, so a run that was stopped goes
    on where it was."""
    runs_root: Place = Field(default_factory=_runs_place)
    """Folder of the runs' outputs."""
    run_name: str = Field(default="reproduction", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    """Name of the run's folder."""

    @model_validator(mode="after")
    def _each_once(self) -> "ReproduceConfig":
        for name in ("folds", "large_folds", "cold_seeds", "methods"):
            chosen = getattr(self, name)
            if len(set(chosen)) < len(chosen):
                raise ValueError(f"{name} names something twice: {', '.join(map(str, chosen))}")
        return self

    def run(self, data: DataConfig, fold: int, *, graph: GraphConfig | None = None) -> RunConfig:
        """The configuration of the pipeline's stages for one fold.

        Published item profiles go with every fold of `data`, user profiles with fold 1 alone.
        """
        published = data == self.data
        profiles = self.profiles.model_copy(
            update={
                "items_file": self.paper_file("item_profiles.parquet") if published else None,
                "users_file": self.paper_file("user_profiles.parquet")
                if published and fold == 1
                else None,
            }
        )
        return RunConfig(
            data=data, split=SplitConfig(fold=fold, valid_share=self.valid_share), llm=self.llm,
            profiles=profiles, embedding=self.embedding, graph=graph or self.best,
            rerank=self.rerank, fusion=FusionConfig(policy="all"), fan_out=self.fan_out,
            evaluation=self.evaluation, seed=self.seed, artifact_root=self.artifact_root,
            runs_root=self.runs_root, run_name=self.run_name,
        )  # fmt: skip

    def paper_file(self, name: str) -> str | None:
        """Path of a file in the folder of the paper's data; None where it is not there."""
        if self.paper_folder is None:
            return None
        path = Path(self.paper_folder).expanduser() / name
        return str(path) if path.exists() else None


C = TypeVar("C", bound=BaseModel)


@overload
def load_config(
    path: str | Path | None, overrides: Mapping[str, Any] | None = None
) -> RunConfig: ...
@overload
def load_config(
    path: str | Path | None, overrides: Mapping[str, Any] | None, kind: type[C]
) -> C: ...
def load_config(
    path: str | Path | None,
    overrides: Mapping[str, Any] | None = None,
    kind: type[BaseModel] = RunConfig,
) -> BaseModel:
    """Read a YAML file of parameters and lay `overrides` (nested mappings) over it.

    Args:
        path: the file; None for none.
        overrides: what wins over the file.
        kind: whose parameters.

    Raises:
        ConfigError: the file is missing, is not YAML, or a field is unknown or out of bounds.
    """
    try:
        loaded = yaml.safe_load(Path(path).read_text("utf-8")) if path else {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"Config file {path} cannot be read: {error}",
            expected="a YAML file whose keys are the parameters shown by --help.",
        ) from error
    if not isinstance(loaded or {}, dict):
        raise ConfigError(
            f"Config file {path} holds a {type(loaded).__name__}.",
            expected="a mapping such as `seed: 1` or `data: {source: ml-1m}`.",
        )
    try:
        return kind.model_validate(_merge(loaded or {}, overrides or {}))
    except ValidationError as error:
        raise config_error(error) from error


def config_error(error: ValidationError) -> ConfigError:
    """Pydantic's findings as one ConfigError that names every wrong field."""
    findings = [
        f"{'.'.join(map(str, item['loc'])) or 'configuration'}: {item['msg']}"
        + (f" (got {item['input']!r})" if item["type"] != "value_error" else "")
        for item in error.errors()
    ]
    return ConfigError(
        "; ".join(findings) + ".",
        expected="values within the bounds that the `--help` of the command shows.",
        fix="correct these fields.",
    )


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _merge(below, value)
        merged[key] = value
    return merged
