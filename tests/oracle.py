"""A model that knows the truth and errs at a chosen rate, for the fake server.

It reads the prompts of the rerankers: whose profile it is (the overview says `oracle user ID`),
the candidates, and the task. Every time a candidate is shown, its true place is seen through
noise, such that two random candidates are seen in the wrong order with the chosen probability.
The noise depends on the seed and the prompt's text alone, so that equal prompts get equal
answers.

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

from tests.fake_openai import FakeOpenAI, Received

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
    """

    orders: Mapping[str, Sequence[str]]
    error: float = 0.0
    seed: int = 0

    def __call__(self, received: Received) -> dict[str, Any]:
        text = received.body["messages"][1]["content"]
        found = _USER.search(text)
        return self.answer(found.group(1) if found else "", text)

    def answer(self, user: str, text: str) -> dict[str, Any]:
        """The answer to a rendered prompt about `user`."""
        shown = text.partition("<candidates>")[2].partition("</candidates>")[0]
        ids = [json.loads(line)["id"] for line in shown.splitlines() if line.startswith('{"id"')]
        seen = self._seen(user, ids, text)
        if "A or B" in text:
            return {"better": "A" if seen[ids[0]] > seen[ids[1]] else "B"}
        if "score every candidate" in text:
            scores = {one: round(100 * min(1.0, max(0.0, seen[one]))) for one in ids}
            return {"scores": [{"id": one, "score": score} for one, score in scores.items()]}
        return {"ranking": sorted(ids, key=lambda one: -seen[one])}

    def _seen(self, user: str, ids: list[str], text: str) -> dict[str, float]:
        """Places as the model sees them: 1 the best, 0 the worst, and noise."""
        order = self.orders.get(user) or sorted(ids)
        rng = np.random.default_rng([self.seed, zlib.crc32(text.encode())])
        noise = rng.normal(size=len(ids)) * spread(self.error)
        last = max(1, len(order) - 1)
        return {
            one: 1 - order.index(one) / last + float(more)
            for one, more in zip(ids, noise, strict=True)
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    asked = parser.parse_args()
    server = FakeOpenAI(asked.log, answer=Oracle({}), latency=asked.latency)
    asyncio.run(server.serve_forever())


if __name__ == "__main__":
    main()
