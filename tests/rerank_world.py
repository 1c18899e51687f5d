"""A small made-up world for the tests of reranking and explanations, and providers that lie."""

import random
from collections.abc import Callable, Iterable
from typing import Any

import polars as pl

from recsys_core.columns import (
    CANDIDATES,
    EVIDENCE,
    GRAPH_SCORE,
    INTERACTIONS,
    ITEM_PROFILES,
    ITEMS,
    LIKED,
    LLM_SCORE,
    RERANKED,
    SCORE,
    STRATEGY,
    USER_PROFILES,
    Schema,
)
from recsys_core.llm.providers.base import Reply, Request, Usage
from recsys_core.prompt_context.models import Candidate, Taste, UserContext
from recsys_core.rerank.user_context import RerankTables

GENRES = ("Crime", "Thriller", "Comedy", "Romance", "Drama", "Sci-Fi")
TAGS = ("Serial Killer", "Detective", "Friendship", "Small Town", "Gritty", "Space")


def frame(schema: Schema, rows: Iterable[dict[str, Any]], id_type: type = int) -> pl.DataFrame:
    ids = pl.Int64 if id_type is int else pl.String
    dtypes = {name: ids if dtype is None else dtype for name, dtype in schema.items()}
    return pl.DataFrame([{name: row.get(name) for name in dtypes} for row in rows], schema=dtypes)


def profile(**fields: Any) -> dict[str, Any]:
    return {
        "overview": "About it.", "genres": [], "tags": [], "description": "Described.",
        "dislikes": [], "markdown": "## Overview", "model": "rules", "prompt_version": "rules-1",
        "evidence_hash": "0", "turns": 1, "status": "ok", **fields,
    }  # fmt: skip


def vectors(key: str, ids: list[Any], rng: random.Random, dimensions: int = 8) -> pl.DataFrame:
    values = [[rng.uniform(-1, 1) for _ in range(dimensions)] for _ in ids]
    return pl.DataFrame(
        {key: ids, "vector": values}, schema_overrides={"vector": pl.Array(pl.Float32, dimensions)}
    )


def world(
    n_users: int = 4, n_items: int = 30, depth: int = 20, seed: int = 0, id_type: type = int
) -> tuple[RerankTables, pl.DataFrame]:
    """RerankTables of made-up users, items and candidates, and the evidence."""
    rng = random.Random(seed)
    users = [id_type(n) if id_type is int else f"u{n}" for n in range(1, n_users + 1)]
    items = [id_type(n) if id_type is int else f"i{n}" for n in range(101, 101 + n_items)]

    def some(labels: tuple[str, ...]) -> list[str]:
        return rng.sample(labels, rng.randint(0, 3))

    history, candidates = [], []
    for user in users:
        seen = rng.sample(items, min(6, n_items // 3))
        history += [
            {"user_id": user, "item_id": item, "rating": float(rng.randint(1, 5)), "timestamp": at}
            for at, item in enumerate(seen)
        ]
        rest = [item for item in items if item not in seen]
        for rank, item in enumerate(rng.sample(rest, min(depth, len(rest))), start=1):
            candidates.append({"user_id": user, "item_id": item, "rank": rank, "score": -rank / 7})
    liked = [{**row, "polarity": LIKED, "turn": 1} for row in history if float(row["rating"]) >= 4]
    tables = RerankTables(
        candidates=frame(CANDIDATES, candidates, id_type),
        history=frame(INTERACTIONS, history, id_type),
        items=frame(
            ITEMS,
            [
                {"item_id": item, "title": f"Title {n}", "year": 1980 + n, "genres": some(GENRES)}
                for n, item in enumerate(items)
            ],
            id_type,
        ),
        item_profiles=frame(
            ITEM_PROFILES,
            [{"item_id": item, **profile(tags=some(TAGS))} for item in items],
            id_type,
        ),
        user_profiles=frame(
            USER_PROFILES,
            [
                {
                    "user_id": user,
                    **profile(genres=some(GENRES), tags=some(TAGS), dislikes=some(TAGS)),
                }
                for user in users
            ],
            id_type,
        ),
        user_vectors=vectors("user_id", users, rng),
        item_vectors=vectors("item_id", items, rng),
    )
    return tables, frame(EVIDENCE, liked, id_type)


def ranked(tables: RerankTables) -> pl.DataFrame:
    """The candidates as lists to serve, in the graph's order."""
    return tables.candidates.with_columns(
        pl.col(SCORE).alias(GRAPH_SCORE),
        pl.lit(None, pl.Float32).alias(LLM_SCORE),
        pl.lit("none").alias(STRATEGY),
    ).select(list(RERANKED))


def context(n_items: int, user: str = "7") -> UserContext:
    """A user with candidates `a0`, `a1`, ... in the graph's order."""
    candidates = tuple(Candidate(id=f"a{n}", title="Same title") for n in range(n_items))
    return UserContext(user=user, taste=Taste(), recent=(), candidates=candidates)


class Scripted:
    """A provider whose answers are made by a function; remembers what it was asked."""

    model = "scripted"

    def __init__(
        self, answer: Callable[[Request[Any, Any]], Any], *, checked: bool = False
    ) -> None:
        self.answer, self.checked = answer, checked
        self.asked: list[Request[Any, Any]] = []

    async def ask(self, request: Request[Any, Any]) -> Reply[Any]:
        self.asked.append(request)
        answer = self.answer(request)
        if self.checked:
            request.purpose.check(request.variables, answer)
        return Reply(answer=answer, model=self.model, prompt_version="test-1")

    def usage(self) -> Usage:
        raise NotImplementedError
