"""A small catalogue, its ratings, and a provider that keeps what it was asked."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import polars as pl

from recsys_core.columns import GENRES, ITEM, OVERVIEW, RATING, TIMESTAMP, TITLE, USER, YEAR
from recsys_core.llm.providers.base import A, Reply, Request, Status, Usage, V
from recsys_core.llm.providers.rules import RulesProvider

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@dataclass
class Recorder:
    """The rules, under another name, keeping every request."""

    model: str = "recorder"
    statuses: list[Status] = field(default_factory=list)
    requests: list[Request[Any, Any]] = field(default_factory=list)
    rules: RulesProvider = field(default_factory=RulesProvider)

    async def ask(self, request: Request[V, A]) -> Reply[A]:
        self.requests.append(request)
        await asyncio.sleep(0)
        reply = await self.rules.ask(request)
        status = self.statuses.pop(0) if self.statuses else "ok"
        return Reply(answer=reply.answer, model=self.model, prompt_version="1", status=status)

    def usage(self) -> Usage:
        return self.rules.usage()


def items(rows: list[tuple[Any, ...]], *, id_type: Any = pl.Int64) -> pl.DataFrame:
    """Rows of (id, title, year, genres, overview)."""
    schema = {
        ITEM: id_type,
        TITLE: pl.String,
        YEAR: pl.Int32,
        GENRES: pl.List(pl.String),
        OVERVIEW: pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def ratings(rows: list[tuple[Any, ...]], *, id_type: Any = pl.Int64) -> pl.DataFrame:
    """Rows of (user, item, rating, timestamp)."""
    schema = {USER: id_type, ITEM: id_type, RATING: pl.Float32, TIMESTAMP: pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


CATALOGUE = items(
    [
        (1, "Heat", 1995, ["Crime", "Thriller"], "A retired detective hunts bank robbers."),
        (2, "Seven", 1995, ["Crime", "Thriller"], "Two detectives hunt a serial killer."),
        (3, "Love Letters", 1999, ["Romance"], "A young widow falls in love with a novelist."),
        (4, "Untitled", None, [], None),
        (5, "Space Race", 1977, ["Sci-Fi"], "An astronaut and a robot are stranded on Mars."),
        (6, "Held Out", 2001, ["Comedy"], "Never to be seen in training."),
    ]
)  # fmt: skip
