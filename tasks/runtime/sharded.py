"""A step that asks a language model about users, spread over shards of them and joined.

A task and an artifact per shard: a run that was killed goes on with the unfinished shards; inside
these, answers that a model gave already come from the cache of answers.
"""

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from recsys_core.artifacts import ArtifactRef, ArtifactStore, ArtifactWriter
from recsys_core.columns import RANK, USER, Schema
from recsys_core.config import FanOutConfig
from recsys_core.llm.config import LLMConfig
from tasks.runtime.fan_out import fan_out
from tasks.runtime.llm_calls import LEDGER
from tasks.runtime.runs.run_log import one_record
from tasks.runtime.step import DAY, RestsOn, Step, Submitted, in_kept_only, step

P = ParamSpec("P")
R = TypeVar("R", bound=ArtifactRef)


class Shard(BaseModel):
    """Which part of the users: number `index` of `count`, in the order of the ids.

    The first part is half as large as the others, which are equal: of two parts under way one is
    then in its middle while the other ends, and the places of its last calls are not left empty.
    """

    model_config = ConfigDict(frozen=True)

    index: int = 0
    count: int = 1

    def of(self, table: pl.DataFrame) -> pl.DataFrame:
        """The rows of `table` whose users are in this part."""
        if self.count == 1:
            return table
        users = table[USER].unique().sort()
        halves = 2 * self.count - 1
        first, last = (
            users.len() * max(0, 2 * at - 1) // halves for at in (self.index, self.index + 1)
        )
        return table.filter(pl.col(USER).is_in(users[first:last].implode()))


def shards(lists: pl.DataFrame, llm: LLMConfig, config: FanOutConfig) -> list[Shard]:
    """The parts that the users of `lists` are cut into.

    Rules take all of them at once, and so does a batch file, which takes up to a day and is found
    again after a kill.
    """
    users = lists.filter(pl.col(RANK) == 1).height
    if not llm.uses_model or llm.batch or users <= config.shard_users:
        return [Shard()]
    count = -(-(2 * users + config.shard_users) // (2 * config.shard_users))
    return [Shard(index=index, count=count) for index in range(count)]


class Sharded(Generic[P, R]):
    """A step per shard of users, and a step that joins them; made by `sharded`."""

    def __init__(
        self, name: str, lists: str, one: Step[Concatenate[Shard, P], R], join: Step[..., R]
    ) -> None:
        functools.update_wrapper(self, one)
        self.name, self.version = name, one.version
        self._lists, self._one, self._join = lists, one, join

    def __call__(
        self, store: ArtifactStore, fan: FanOutConfig, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Do it for all users; the reference to the tables of all.

        Args:
            store: where artifacts lie.
            fan: users per shard, and how many shards at a time.
            args: none; a step takes keywords.
            kwargs: the step's inputs but the shard.
        """
        inputs: Mapping[str, Any] = kwargs
        parts = shards(inputs[self._lists].table(self._lists), inputs["llm"], fan)

        def submit(shard: Shard) -> Submitted[R]:
            return self._one.submit(store, shard, *args, **kwargs)

        with one_record(self.name):
            if len(parts) == 1:
                return self._one(store, parts[0], *args, **kwargs)
            if in_kept_only():
                done = [self._one(store, part, *args, **kwargs) for part in parts]
                return self._join(store, parts=done)
            return self._join(store, parts=fan_out(parts, submit, fan, self.name))


def sharded(
    name: str,
    *,
    version: str,
    returns: type[R],
    lists: str,
    tables: Mapping[str, Schema],
    timeout_seconds: float = DAY,
    tags: tuple[str, ...] = (),
    rests_on: RestsOn = lambda _: {},
) -> Callable[[Callable[Concatenate[ArtifactWriter, Shard, P], None]], Sharded[P, R]]:
    """Turn a function that fills a writer for a shard of users into a step for all of them.

    Args:
        name: of the step for a shard; that of the join is followed by `_joined`.
        version: raise it whenever the same inputs would give another output.
        returns: the type of its references.
        lists: the input whose table of the same name holds the users' lists. Another input, `llm`,
            says whether a language model is asked.
        tables: the tables of a shard that are joined, and their schemas.
        timeout_seconds: bound of one attempt at a shard.
        tags: further tags of the tasks.
        rests_on: what the result depends on beside the inputs and the version.

    Raises:
        TypeError: the function has no inputs of these names.
    """

    def decorate(
        build: Callable[Concatenate[ArtifactWriter, Shard, P], None],
    ) -> Sharded[P, R]:
        missing = {lists, "llm"} - set(inspect.signature(build).parameters)
        if missing:
            raise TypeError(f"{name} is sharded and has no input {', '.join(sorted(missing))}.")
        one = step(
            name, version=version, returns=returns, timeout_seconds=timeout_seconds, tags=tags,
            rests_on=rests_on,
        )(build)  # fmt: skip

        def join(out: ArtifactWriter, *, parts: list[R]) -> None:
            merge(out, parts, tables)

        join.__doc__ = f"Join the tables of all shards of `{name}`."
        joined = step(f"{name}_joined", version=version, returns=returns)(join)
        return Sharded(name, lists, one, joined)

    return decorate


def merge(out: ArtifactWriter, parts: Sequence[ArtifactRef], schemas: Mapping[str, Schema]) -> None:
    """Write the tables of all parts as one, and their facts summed up."""
    for name, schema in schemas.items():
        joined = pl.concat([part.table(name) for part in parts])
        out.table(name, joined, schema, in_content=name != LEDGER)
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
    return max(before, value) if name.startswith(("run_", "root_")) else before + value
