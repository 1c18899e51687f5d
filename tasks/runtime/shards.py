"""Work that is spread over shards of users: a task and an artifact per shard, then one whole.

A run that was killed goes on with the unfinished shards; inside these, answers that a model gave
already come from the cache of answers. Only a few shards are submitted at a time: each holds its
own event loop, and all of them share the limits of the model.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeVar

import polars as pl
from prefect.context import FlowRunContext
from prefect.task_runners import TaskRunner
from pydantic import BaseModel, ConfigDict

from recsys_core.artifacts import ArtifactRef, ArtifactWriter
from recsys_core.columns import RANK, USER, Schema
from recsys_core.config import FanOutConfig
from recsys_core.errors import ConfigError
from recsys_core.llm.config import LLMConfig
from tasks.runtime.progress import progress
from tasks.runtime.step import Submitted

_LOCAL: Final = {"host": "127.0.0.1", "dashboard_address": None}
"""A cluster of the run's own is nobody else's business."""


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
    """The parts that the users of `lists` are cut into; rules take all of them at once."""
    users = lists.filter(pl.col(RANK) == 1).height
    if not llm.uses_model or users <= config.shard_users:
        return [Shard()]
    count = -(-(2 * users + config.shard_users) // (2 * config.shard_users))
    return [Shard(index=index, count=count) for index in range(count)]


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
    with progress(label, len(parts)) as report, runner(config):
        for shard in parts:
            waiting.append(submit(shard))
            if len(waiting) >= config.shards_at_once:
                done.append(waiting.popleft().result())
                report(len(done))
        while waiting:
            done.append(waiting.popleft().result())
            report(len(done))
    return done


@contextmanager
def runner(config: FanOutConfig) -> Iterator[None]:
    """Let steps that are submitted inside the context run where `config` says.

    Raises:
        ConfigError: Dask is asked for and not installed, or its scheduler does not answer.
    """
    context = FlowRunContext.get()
    if config.runner == "threads" or context is None:
        yield
        return
    with _on_dask(config) as chosen, context.model_copy(update={"task_runner": chosen}):
        yield


@contextmanager
def _on_dask(config: FanOutConfig) -> Iterator[TaskRunner[Any]]:
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise ConfigError(
            "fan_out.runner is `dask`, and prefect-dask is not installed.",
            fix="pip install -c requirements.lock -e '.[ops]', or take `threads`.",
        ) from error
    if config.dask_address is None:
        local = {"n_workers": config.dask_workers, "threads_per_worker": 1, **_LOCAL}
        chosen = DaskTaskRunner(cluster_kwargs=local)
    else:
        chosen = DaskTaskRunner(address=config.dask_address)
    with ExitStack() as stack:
        try:
            stack.enter_context(chosen)
            _ = chosen.client  # connects
        except OSError as error:  # also distributed's time-outs
            raise ConfigError(
                f"The Dask scheduler {config.dask_address} does not answer: {error}",
                fix="start it (`dask scheduler`), or correct fan_out.dask_address.",
            ) from error
        yield chosen


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
