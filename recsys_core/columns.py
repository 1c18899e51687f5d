"""Every column name, and the schema of every table that one step hands to another.

No other module spells a column name. `check` compares a frame with its schema before it is
written and after it is read, so a drift is caught at the border and named.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from recsys_core.errors import DataError

USER: Final = "user_id"
ITEM: Final = "item_id"
MAX_ID_CHARS: Final = 200
"""Longest id of an item, as text: a language model has to be able to give it back."""
RATING: Final = "rating"
TIMESTAMP: Final = "timestamp"
PART: Final = "part"
"""Train, valid or test, where the data set says itself how it is divided."""
POSITION: Final = "position"
"""Place in the user's sequence, where there are no times."""
AVAILABLE: Final = "available"
"""Whether the item may be recommended; its history teaches either way."""

TITLE: Final = "title"
YEAR: Final = "year"
GENRES: Final = "genres"
OVERVIEW: Final = "overview"
AGE: Final = "age"
GENDER: Final = "gender"
OCCUPATION: Final = "occupation"
ZIP_CODE: Final = "zip_code"
TMDB_ID: Final = "tmdb_id"
KEYWORDS: Final = "keywords"
CAST: Final = "cast"
DIRECTORS: Final = "directors"
REASON: Final = "reason"
ROW: Final = "__row__"
"""Row number while a table is checked; never written."""

TAGS: Final = "tags"
DESCRIPTION: Final = "description"
DISLIKES: Final = "dislikes"
MARKDOWN: Final = "markdown"
MODEL: Final = "model"
PROMPT_VERSION: Final = "prompt_version"
EVIDENCE_HASH: Final = "evidence_hash"
TURNS: Final = "turns"
STATUS: Final = "status"
NO_EVIDENCE: Final = "no_evidence"
"""Status of a profile: of an item nothing is known but its id, or of a user nothing that was liked
or disliked in training; the neutral profile."""
POLARITY: Final = "polarity"
TURN: Final = "turn"
LIKED: Final = "liked"
"""Value of POLARITY: the user rated the item at least `RatingScale.like_from`."""
DISLIKED: Final = "disliked"
"""Value of POLARITY: the user rated the item at most `RatingScale.dislike_from`."""
RECENT: Final = "recent"
SIMILARITY: Final = "similarity"
PROFILE_TEXT: Final = "profile"

TEXT: Final = "text"
VECTOR: Final = "vector"
INDEX: Final = "index"
USER_INDEX: Final = "user_index"
ITEM_INDEX: Final = "item_index"

RANK: Final = "rank"
SCORE: Final = "score"
GRAPH_SCORE: Final = "graph_score"
LLM_SCORE: Final = "llm_score"
STRATEGY: Final = "strategy"
SCALE: Final = "scale"
NDCG_AT_10: Final = "ndcg_at_10"
DIVERSITY: Final = "diversity"
CALIBRATION: Final = "calibration_error"
STAGE: Final = "stage"
DECISION: Final = "decision"
AGREEMENT: Final = "agreement"
WEIGHT: Final = "weight"
CHOSEN: Final = "chosen"
EXPLANATION: Final = "explanation"
LIKED_EVIDENCE: Final = "liked_evidence"
ATTRIBUTE_EVIDENCE: Final = "attribute_evidence"

METHOD: Final = "method"
PROTOCOL: Final = "protocol"
K: Final = "k"
METRIC: Final = "metric"
VALUE: Final = "value"
CI_LOW: Final = "ci_low"
CI_HIGH: Final = "ci_high"
USERS: Final = "users"
REFERENCE: Final = "reference"
DIFFERENCE: Final = "difference"
P_VALUE: Final = "p_value"
P_ADJUSTED: Final = "p_adjusted"
FOLD: Final = "fold"
DATA_SET: Final = "data_set"
PAPER: Final = "paper"
PUBLISHED: Final = "published"
OURS: Final = "ours"

PHASE: Final = "phase"
EPOCH: Final = "epoch"
LOSS: Final = "loss"
BPR_LOSS: Final = "bpr_loss"
COSINE_LOSS: Final = "cosine_loss"
VALID_NDCG: Final = "valid_ndcg"
LEARNING_RATE: Final = "learning_rate"

KEY: Final = "key"
PURPOSE: Final = "purpose"
SUBJECT: Final = "subject"
TOKENS_IN: Final = "tokens_in"
TOKENS_OUT: Final = "tokens_out"
COST: Final = "cost_usd"
LATENCY: Final = "latency_s"
WAITED: Final = "waited_s"
ATTEMPTS: Final = "attempts"
VERDICT: Final = "verdict"
STARTED: Final = "started_at"
CALLS: Final = "calls"
SECONDS: Final = "seconds"

CONTENT: Final = "content_hash"
ATTRIBUTES: Final = "attributes"
UNKNOWN: Final = "unknown_ratings"
"""Ratings of items that the model does not have."""

INPUT: Final = "input"
RATED_ITEM: Final = "rated_item"
SCORED_ITEM: Final = "scored_item"
RATED_VECTOR: Final = "rated_vector"
SCORED_VECTOR: Final = "scored_vector"
PRIOR: Final = "prior"
NEWCOMER_SCORE: Final = "newcomer_score"
USUAL_RATING: Final = "usual_rating"

CAUSE: Final = "cause"
"""A rated item that contributes to the score of another; null for what is no rating."""
KIND: Final = "kind"
SHARE: Final = "share"
SIGN: Final = "sign"
CONTRIBUTION: Final = "contribution"
DROP: Final = "drop"
INFLUENCE: Final = "influence"
STRENGTH: Final = "strength"
PLACE: Final = "place"
PLACE_WITHOUT: Final = "place_without"
PEOPLE: Final = "people"
PEOPLE_BOTH: Final = "people_both"

GROUP: Final = "group"
CAPTION: Final = "caption"
SVG: Final = "svg"

Schema = Mapping[str, pl.DataType | type[pl.DataType] | None]
"""Column -> dtype. `None` stands for an id: Int64 or String, as the data set has it."""

_STRINGS: Final = pl.List(pl.String)

INTERACTIONS: Final[Schema] = {
    USER: None, ITEM: None, RATING: pl.Float32, TIMESTAMP: pl.Int64,
}  # fmt: skip
ITEMS: Final[Schema] = {
    ITEM: None, TITLE: pl.String, YEAR: pl.Int32, GENRES: _STRINGS, OVERVIEW: pl.String,
}  # fmt: skip
UNMATCHED: Final[Schema] = {
    ITEM: None, TITLE: pl.String, YEAR: pl.Int32, REASON: pl.String,
}  # fmt: skip
ITEM_STATE: Final[Schema] = {ITEM: None, CONTENT: pl.String}
USER_STATE: Final[Schema] = {USER: None, K: pl.Int32, CONTENT: pl.String}
"""How many ratings a user has, and the hash of all of them."""
_PROFILE: Final[Schema] = {
    OVERVIEW: pl.String, GENRES: _STRINGS, TAGS: _STRINGS, DESCRIPTION: pl.String,
    DISLIKES: _STRINGS, MARKDOWN: pl.String, MODEL: pl.String, PROMPT_VERSION: pl.String,
    EVIDENCE_HASH: pl.String, TURNS: pl.Int32, STATUS: pl.String,
}  # fmt: skip
ITEM_PROFILES: Final[Schema] = {ITEM: None, **_PROFILE}
USER_PROFILES: Final[Schema] = {USER: None, **_PROFILE}
EVIDENCE: Final[Schema] = {
    USER: None, ITEM: None, RATING: pl.Float32, POLARITY: pl.String, TURN: pl.Int32,
}  # fmt: skip
EDGES: Final[Schema] = {
    USER_INDEX: pl.Int64, ITEM_INDEX: pl.Int64, RATING: pl.Float32, TIMESTAMP: pl.Int64,
}  # fmt: skip
USER_NODES: Final[Schema] = {USER: None, INDEX: pl.Int64}
ITEM_NODES: Final[Schema] = {ITEM: None, INDEX: pl.Int64}
ITEM_TO_ITEM: Final[Schema] = {
    INPUT: pl.String, RATED_ITEM: pl.Int64, SCORED_ITEM: pl.Int64, WEIGHT: pl.Float32,
}  # fmt: skip
"""What an item (by number) that a user rated adds to the score of another, times its entry in the
user's row of the input (`components.histories.HistoryInput`)."""
ITEM_FACTORS: Final[Schema] = {
    INPUT: pl.String, ITEM_INDEX: pl.Int64,
    RATED_VECTOR: pl.List(pl.Float32), SCORED_VECTOR: pl.List(pl.Float32),
}  # fmt: skip
ITEM_PRIORS: Final[Schema] = {
    ITEM_INDEX: pl.Int64, PRIOR: pl.Float32, NEWCOMER_SCORE: pl.Float32,
    USUAL_RATING: pl.Float32,
}  # fmt: skip
VISITORS: Final[Schema] = {
    USER: None, STATUS: pl.String, UNKNOWN: pl.Int64, ATTRIBUTES: pl.List(pl.Float32),
}  # fmt: skip
"""Users whom lists are asked for without training, and how they are placed."""
CANDIDATES: Final[Schema] = {USER: None, ITEM: None, RANK: pl.Int32, SCORE: pl.Float32}
JUDGED: Final[Schema] = {
    USER: None, ITEM: None, RANK: pl.Int32, GRAPH_SCORE: pl.Float32, LLM_SCORE: pl.Float32,
    STRATEGY: pl.String, AGREEMENT: pl.Float32,
}  # fmt: skip
"""AGREEMENT: the user's split-half Kendall's tau between repeated rankings, where there are any."""
RERANKED_USERS: Final[Schema] = {USER: None, WEIGHT: pl.Float64, SCALE: pl.String}
"""Users whose lists the judgements change, and how the scores are fused."""
PROBE: Final[Schema] = {
    GROUP: pl.String, STAGE: pl.Int32, USERS: pl.Int32, WEIGHT: pl.Float64, SCALE: pl.String,
    VALUE: pl.Float64, DIFFERENCE: pl.Float64, CI_LOW: pl.Float64, CI_HIGH: pl.Float64,
    DECISION: pl.String,
}  # fmt: skip
"""What each stage of the probe saw: NDCG@10 of the graph's lists on validation and the gain of
reranking, with the interval of the group-sequential test."""
TRADE_OFF: Final[Schema] = {
    METHOD: pl.String, WEIGHT: pl.Float64, NDCG_AT_10: pl.Float64, DIVERSITY: pl.Float64,
    CALIBRATION: pl.Float64,
}  # fmt: skip
"""Accuracy against variety on validation, a row per method and weight of the last step."""
RERANKED: Final[Schema] = {
    USER: None, ITEM: None, RANK: pl.Int32, SCORE: pl.Float32,
    GRAPH_SCORE: pl.Float32, LLM_SCORE: pl.Float32, STRATEGY: pl.String,
}  # fmt: skip
ATTRIBUTIONS: Final[Schema] = {
    USER: None, ITEM: None, CAUSE: None, KIND: pl.String, SHARE: pl.Float32, SIGN: pl.Int8,
    CONTRIBUTION: pl.Float32, DROP: pl.Float32, PLACE: pl.Int32, PLACE_WITHOUT: pl.Int32,
    PEOPLE: pl.Int32, PEOPLE_BOTH: pl.Int32, STRENGTH: pl.String,
}  # fmt: skip
"""What contributed to the score of a recommended item, the strongest causes of each.

CONTRIBUTION is the part of the score (all parts sum to it), SHARE its size among all of them. DROP
is how much lower the score were without the rating, PLACE where the item stands by its score, and
PLACE_WITHOUT where it would. PEOPLE liked the cause, PEOPLE_BOTH of them the item, too; of the
cause `popularity`, PEOPLE liked the item. STRENGTH is what reasons say of it
(`attribution.strengths`); null for what no reason may cite.
"""
RECOMMENDATIONS: Final[Schema] = {
    USER: None, ITEM: None, RANK: pl.Int32, SCORE: pl.Float32, TITLE: pl.String,
    EXPLANATION: pl.String, LIKED_EVIDENCE: None, ATTRIBUTE_EVIDENCE: _STRINGS,
    GRAPH_SCORE: pl.Float32, LLM_SCORE: pl.Float32, STRATEGY: pl.String, MODEL: pl.String,
}  # fmt: skip
RANKING: Final[Schema] = {USER: None, ITEM: None, RANK: pl.Int32}
METRICS: Final[Schema] = {
    METHOD: pl.String, PROTOCOL: pl.String, K: pl.Int32, METRIC: pl.String,
    VALUE: pl.Float64, CI_LOW: pl.Float64, CI_HIGH: pl.Float64, USERS: pl.Int32,
}  # fmt: skip
COMPARISONS: Final[Schema] = {
    METHOD: pl.String, REFERENCE: pl.String, DIFFERENCE: pl.Float64, CI_LOW: pl.Float64,
    CI_HIGH: pl.Float64, P_VALUE: pl.Float64, P_ADJUSTED: pl.Float64, USERS: pl.Int32,
}  # fmt: skip
PER_USER: Final[Schema] = {
    USER: None, PROTOCOL: pl.String, K: pl.Int32, METRIC: pl.String, VALUE: pl.Float64,
}  # fmt: skip
"""One method, user by user; VALUE is null where the metric leaves the user out."""
METHOD_PER_USER: Final[Schema] = {METHOD: pl.String, **PER_USER}
"""Several methods, user by user, under the headline protocol at one cut-off."""
COLD: Final[Schema] = {
    METHOD: pl.String, PROTOCOL: pl.String, VALUE: pl.Float64, CI_LOW: pl.Float64,
    CI_HIGH: pl.Float64, USERS: pl.Int32, DIFFERENCE: pl.Float64, P_ADJUSTED: pl.Float64,
}  # fmt: skip
"""NDCG@10 of the cold-start protocols, seeds together; the difference is to the reference."""
REPRODUCTION: Final[Schema] = {DATA_SET: pl.String, FOLD: pl.Int32, **METRICS}
TABLE_1: Final[Schema] = {
    METHOD: pl.String, METRIC: pl.String, PAPER: pl.Float64, PUBLISHED: pl.Float64,
    OURS: pl.Float64,
}  # fmt: skip
"""The paper's Table 1: its own values, those of its published list, and our method's."""
FIGURES: Final[Schema] = {GROUP: pl.String, CAPTION: pl.String, SVG: pl.String}
VALIDATED: Final[Schema] = {USER: None, ITEM: None, VALUE: pl.Float64}
"""A user's held-out liked items as a list, and the NDCG that choices were made with."""
CURVES: Final[Schema] = {
    PHASE: pl.String, EPOCH: pl.Int32, LOSS: pl.Float64, BPR_LOSS: pl.Float64,
    COSINE_LOSS: pl.Float64, VALID_NDCG: pl.Float64, LEARNING_RATE: pl.Float64,
}  # fmt: skip
LLM_CALLS: Final[Schema] = {
    KEY: pl.String, PURPOSE: pl.String, SUBJECT: pl.String, MODEL: pl.String,
    PROMPT_VERSION: pl.String, TOKENS_IN: pl.Int64, TOKENS_OUT: pl.Int64, COST: pl.Float64,
    LATENCY: pl.Float64, WAITED: pl.Float64, ATTEMPTS: pl.Int32, VERDICT: pl.String,
    STARTED: pl.Datetime("us", "UTC"),
}  # fmt: skip
STRATEGY_COSTS: Final[Schema] = {
    STRATEGY: pl.String, MODEL: pl.String, USERS: pl.Int64, CALLS: pl.Float64,
    TOKENS_IN: pl.Float64, TOKENS_OUT: pl.Float64, COST: pl.Float64, LATENCY: pl.Float64,
    SECONDS: pl.Float64,
}  # fmt: skip
"""Per 1,000 users; LATENCY is summed over calls, SECONDS is wall time."""


def vectors(id_column: str, dimensions: int) -> Schema:
    """Schema of an embedding table: an id and a fixed-size float32 vector of `dimensions`."""
    return {id_column: None, VECTOR: pl.Array(pl.Float32, dimensions)}


def is_id(dtype: pl.DataType) -> bool:
    """Whether ids (or lists of ids) may have this type: any integer, or string."""
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    return inner == pl.String or (isinstance(inner, pl.DataType) and inner.is_integer())


def check(frame: pl.DataFrame, schema: Schema, *, table: str) -> pl.DataFrame:
    """Return `frame` if it holds every column of `schema` with the right type.

    Columns beyond the schema are allowed (further text columns of items, for example).

    Raises:
        DataError: a column is missing or has another type; all of them are named at once.
    """
    problems = []
    for name, wanted in schema.items():
        found = frame.schema.get(name)
        if found is None:
            problems.append(f"column {name!r} is missing")
        elif wanted is None and not is_id(found):
            problems.append(f"column {name!r} has type {found}, not integer or string")
        elif wanted is not None and found != wanted:
            problems.append(f"column {name!r} has type {found}, not {wanted}")
    if problems:
        raise DataError(
            f"{table}: {'; '.join(problems)} (it has {', '.join(frame.columns) or 'no columns'}).",
            expected=f"the columns {', '.join(schema)}.",
            fix="rename or cast the columns; the README shows the data contract.",
        )
    return frame
