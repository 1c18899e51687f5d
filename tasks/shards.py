"""Work that is spread over shards of users: a task and an artifact per shard, then one whole.

A run that was killed goes on with the unfinished shards; inside these, answers that a model gave
already come from the cache of answers. Only a few shards are submitted at a time: each holds its
own event loop, and all of them share the limits of the model.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from recsys_core.artifacts import ArtifactRef, ArtifactWriter
from recsys_core.columns import RANK, USER, Schema
from recsys_core.config import FanOutConfig, LLMConfig
from tasks.progress import progress
from tasks.step import Submitted


class Shard(BaseModel):
    """Which part of the users: number `index` of `count` equal parts, in the order of the ids."""

    model_config = ConfigDict(frozen=True)

    index: int = 0
    count: int = 1

    def of(self, table: pl.DataFrame) -> pl.DataFrame:
        """The rows of `table` whose users are in this part."""
        if self.count == 1:
            return table
        users = table[USER].unique().sort()
        first, last = (users.len() * at // self.count for at in (self.index, self.index + 1))
        return table.filter(pl.col(USER).is_in(users[first:last].implode()))


def shards(lists: pl.DataFrame, llm: LLMConfig, config: FanOutConfig) -> list[Shard]:
    """The parts that the users of `lists` are cut into; rules take all of them at once."""
    users = lists.filter(pl.col(RANK) == 1).height
    count = -(-users // config.shard_users) if llm.uses_model else 1
    return [Shard(index=index, count=max(1, count)) for index in range(max(1, count))]


Part = TypeVar("Part")


def fan_out(
    parts: Sequence[Part],
    submit: Callable[[Part], Submitted],
    config: FanOutConfig,
    label: str,
) -> list[ArtifactRef]:
    """Run a step on every part, `config.shards_at_once` at a time; references in their order.

    The first error is raised after the parts under way have ended; what they wrote is kept.
    """
    waiting: deque[Submitted] = deque()
    done: list[ArtifactRef] = []
    with progress(label, len(parts)) as report:
        for shard in parts:
            waiting.append(submit(shard))
            if len(waiting) >= config.shards_at_once:
                done.append(waiting.popleft().result())
                report(len(done))
        while waiting:
            done.append(waiting.popleft().result())
            report(len(done))
    return done


def merge(out: ArtifactWriter, parts: Sequence[ArtifactRef], schemas: Mapping[str, Schema]) -> None:
    """Write the tables of all parts as one, and their facts summed up."""
    for name, schema in schemas.items():
        out.table(name, pl.concat([part.table(name) for part in parts]), schema)
    for name, value in merged_facts([part.manifest.facts for part in parts]).items():
        out.fact(name, value)


def merged_facts(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Facts of shards as those of the whole.

    Numbers add up, and so do counts by name; what a run has spent so far (`run_...`) is the largest
    one; of anything else the first is taken.
    """
    merged: dict[str, Any] = {}
    for one in facts:
        for name, value in one.items():
            merged[name] = _added(name, merged[name], value) if name in merged else value
    return merged


def _added(name: str, before: Any, value: Any) -> Any:
    if isinstance(value, bool | str) or value is None:
        return before
    if isinstance(value, Mapping):
        return dict(Counter(before) + Counter(value))
    return max(before, value) if name.startswith("run_") else before + value
