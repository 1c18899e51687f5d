"""Twenty users, the first six cold, whose one liked validation item the graph puts fifth."""

import polars as pl

from recsys_core.columns import (
    CANDIDATES,
    GRAPH_SCORE,
    INTERACTIONS,
    JUDGED,
    LLM_SCORE,
    RANK,
    SCORE,
    STRATEGY,
    USER,
)
from tests.rerank_world import frame

DEPTH, LIKED = 20, "i5"


def interactions(rows: list[tuple[str, str, float]]) -> pl.DataFrame:
    named = [{"user_id": u, "item_id": i, "rating": r, "timestamp": None} for u, i, r in rows]
    return frame(INTERACTIONS, named, str)


def users_of(cold: int, warm: int) -> list[str]:
    return [f"u{n:02}" for n in range(cold + warm)]


def train_of(users: list[str], cold: int) -> pl.DataFrame:
    """Three interactions of the first `cold` users, twelve of the others."""
    return interactions(
        [(user, f"t{n}", 4.0) for at, user in enumerate(users)
         for n in range(3 if at < cold else 12)]
    )  # fmt: skip


def lists_of(users: list[str]) -> pl.DataFrame:
    rows = [
        {"user_id": user, "item_id": f"i{rank}", "rank": rank, "score": -float(rank)}
        for user in users for rank in range(1, DEPTH + 1)
    ]  # fmt: skip
    return frame(CANDIDATES, rows, str)


def valid_of(users: list[str]) -> pl.DataFrame:
    return interactions([(user, LIKED, 5.0) for user in users])


def judged(helps: list[str], hurts: list[str]) -> pl.DataFrame:
    """The model puts the liked item (fifth of the graph) first for some, last for others."""
    score = (
        pl.when(pl.col("item_id") != LIKED).then(50.0)
        .when(pl.col(USER).is_in(helps)).then(100.0).otherwise(0.0)
    )  # fmt: skip
    return lists_of(helps + hurts).select(
        "user_id", "item_id", RANK, pl.col(SCORE).alias(GRAPH_SCORE),
        score.cast(pl.Float32).alias(LLM_SCORE), pl.lit("relevancy").alias(STRATEGY),
        pl.lit(None, pl.Float32).alias("agreement"),
    ).select(list(JUDGED))  # fmt: skip


COLD, WARM = 6, 14
USERS_ALL = users_of(COLD, WARM)
TRAIN, VALID, LISTS = train_of(USERS_ALL, COLD), valid_of(USERS_ALL), lists_of(USERS_ALL)
