"""A model that knows the truth and errs in a chosen way, for the fake server and in process.

Every time a candidate is shown, its true place is seen through noise such that two random
candidates are seen in the wrong order with the chosen probability. Part of the noise may be
persistent (the same whenever the item is shown for the same user, as with a real model), and what
stands first in a prompt may be favoured. The noise depends on the seed and the prompt alone, so
that equal prompts get equal answers.

Run as a program (`python -m tests.oracle --log FILE --latency 0.2`) it prints its URL and serves
on, with the order of the ids as the truth.
"""

import argparse
import asyncio
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from recsys_core.llm.providers.base import Reply, Request, Usage
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.strategies.base import Completed, judge_safely
from recsys_core.rerank.strategies.registry import make_strategy
from tests.fake_openai import FakeOpenAI, Received
from tests.rerank_world import context

WHO = "oracle user "
_USER = re.compile(rf'"overview": "{WHO}([^"]*)"')


@lru_cache
def spread(error: float) -> float:
    """Standard deviation of the noise on places 0..1 at which random pairs are wrong this often."""
    if error == 0:
        return 0.0
    rng = np.random.default_rng(0)
    gaps = np.abs(rng.uniform(size=200_000) - rng.uniform(size=200_000))
    noise = rng.normal(size=gaps.size) * np.sqrt(2)
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (noise * middle > gaps).mean() < error else (low, middle)
    return high


@dataclass(frozen=True)
class Oracle:
    """The answers.

    Attributes:
        orders: user id -> the ids of the candidates in their true order, the best first. Of users
            that are not in it the ids shown, sorted, are the order.
        error: chance that a random pair is judged wrongly.
        seed: of the noise.
        persistent: share of the noise's variance that stays with the user and the item.
        bias: what the first place of a prompt gains over the last, in standard deviations of the
            noise.
        offset: standard deviation of what is added to all scores of one call, 1 for the whole
            scale; orders do not feel it.
        length_factor: how many times as noisy a list of 20 is seen as one of five.
    """

    orders: Mapping[str, Sequence[str]]
    error: float = 0.0
    seed: int = 0
    persistent: float = 0.0
    bias: float = 0.0
    offset: float = 0.0
    length_factor: float = 1.0

    def __call__(self, received: Received) -> dict[str, Any]:
        text = received.body["messages"][1]["content"]
        found = _USER.search(text)
        return self.answer(found.group(1) if found else "", text)

    def answer(self, user: str, text: str) -> dict[str, Any]:
        """The answer to a rendered prompt about `user`."""
        shown = text.partition("<candidates>")[2].partition("</candidates>")[0]
        ids = [json.loads(line)["id"] for line in shown.splitlines() if line.startswith('{"id"')]
        kind = (
            "better" if "A or B" in text
            else "scores" if "score every candidate" in text
            else "best" if "which one of the candidates" in text
            else "ranking"
        )  # fmt: skip
        return self.judged(kind, user, ids)

    def judged(self, kind: str, user: str, ids: Sequence[str]) -> dict[str, Any]:
        """The answer of a kind (its only field) about the candidates that are shown."""
        seen, rng = self._seen(user, ids)
        if kind == "better":
            return {"better": "A" if seen[ids[0]] > seen[ids[1]] else "B"}
        if kind == "scores":
            shift = rng.normal() * self.offset
            return {
                "scores": [
                    {"id": one, "score": round(100 * min(1.0, max(0.0, seen[one] + shift)))}
                    for one in ids
                ]
            }
        ranking = sorted(ids, key=lambda one: -seen[one])
        return {"best": ranking[0]} if kind == "best" else {"ranking": ranking}

    def _seen(self, user: str, ids: Sequence[str]) -> tuple[dict[str, float], np.random.Generator]:
        """Places as the model sees them: 1 the best, 0 the worst, noise and position bias."""
        order = self.orders.get(user) or sorted(ids)
        rng = np.random.default_rng([self.seed, zlib.crc32("|".join([user, *ids]).encode())])
        longer = max(0.0, np.log(len(ids) / 5) / np.log(20 / 5))
        scale = spread(self.error) * self.length_factor**longer
        noise = rng.normal(size=len(ids)) * np.sqrt(1 - self.persistent)
        if self.persistent:
            own = np.array([_persistent(self.seed, user, one) for one in ids])
            noise += own * np.sqrt(self.persistent)
        noise += self.bias * np.linspace(0.5, -0.5, len(ids))
        last = max(1, len(order) - 1)
        places = {one: 1 - place / last for place, one in enumerate(order)}
        seen = {
            one: places[one] + float(more) * scale for one, more in zip(ids, noise, strict=True)
        }
        return seen, rng


@lru_cache(maxsize=100_000)
def _persistent(seed: int, user: str, item: str) -> float:
    return float(np.random.default_rng([seed, zlib.crc32(f"{user}/{item}".encode())]).normal())


CONTEXT_TOKENS, ITEM_TOKENS = 600, 80
"""What a call and a shown candidate are counted as."""


@dataclass
class OracleProvider:
    """The oracle in process: no server, no rendering; counts calls and tokens."""

    oracle: Oracle
    model: str = "oracle"
    calls: int = 0
    tokens: int = 0

    async def ask(self, request: Request[Any, Any]) -> Reply[Any]:
        ids = [one.id for one in request.variables.candidates]
        self.calls += 1
        self.tokens += CONTEXT_TOKENS + ITEM_TOKENS * len(ids)
        answer = request.purpose.answer
        (kind,) = answer.model_fields
        told = self.oracle.judged(kind, request.subject.removeprefix("user:"), ids)
        return Reply(answer=answer.model_validate(told), model=self.model, prompt_version="test-1")

    def usage(self) -> Usage:
        raise NotImplementedError


ERROR_MODELS: Mapping[str, Mapping[str, float]] = {
    "independent": {},
    "persistent": {"persistent": 0.5},
    "position bias": {"bias": 3.0},
}
"""Fields of `Oracle`: independent errors; half of them the same in every call; a favoured start."""
OFFSET = 0.1
"""Of the scores of one call, for strategies that compare scores of several calls."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a strategy makes of the oracle's answers, means over users.

    Attributes:
        tau: Kendall's tau between the scores and the true order.
        error: standard error of `tau`.
        calls: calls per user.
        tokens: tokens per user, as `OracleProvider` counts them.
        agreement: of repeated rankings, where there are any.
    """

    tau: float
    error: float
    calls: float
    tokens: float
    agreement: float | None


def tau_of(
    config: RerankConfig, error: float, model: Mapping[str, float], *, users: int, items: int = 20
) -> Found:
    """Judge `users` made-up users, whose true order has nothing to do with the graph's."""
    ids = [f"a{place}" for place in range(items)]
    rng = np.random.default_rng(0)
    orders = {str(user): [ids[at] for at in rng.permutation(items)] for user in range(users)}
    provider = OracleProvider(Oracle(orders, error=error, offset=OFFSET, **model))
    strategy = make_strategy(config.strategy, config)

    async def judge_all() -> list[Completed]:
        return [
            await judge_safely(
                strategy, context(items, user), provider,
                np.random.default_rng([0, zlib.crc32(user.encode())]),
            )
            for user in orders
        ]  # fmt: skip

    done = asyncio.run(judge_all())
    taus = [
        kendalltau([-order.index(one) for one in ids], own.scores).statistic
        for order, own in zip(orders.values(), done, strict=True)
    ]
    agreements = [own.agreement for own in done if own.agreement is not None]
    return Found(
        tau=float(np.mean(taus)), error=float(np.std(taus) / np.sqrt(users)),
        calls=provider.calls / users, tokens=provider.tokens / users,
        agreement=float(np.mean(agreements)) if agreements else None,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    asked = parser.parse_args()
    server = FakeOpenAI(asked.log, answer=Oracle({}), latency=asked.latency)
    asyncio.run(server.serve_forever())


if __name__ == "__main__":
    main()
