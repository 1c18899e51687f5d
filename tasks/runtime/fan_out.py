"""Several runs of a step at a time, in threads of this process or on a Dask cluster.

Only a few are submitted at a time: each holds its own event loop, and all of them share the limits
of the model.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeVar

from prefect.context import FlowRunContext
from prefect.task_runners import TaskRunner

from recsys_core.artifacts import ArtifactRef
from recsys_core.config import FanOutConfig
from recsys_core.errors import ConfigError
from tasks.runtime.progress import progress
from tasks.runtime.step import Submitted

_LOCAL: Final = {"host": "127.0.0.1", "dashboard_address": None}
"""A cluster of the run's own is nobody else's business."""

Part = TypeVar("Part")
R = TypeVar("R", bound=ArtifactRef)


def fan_out(
    parts: Sequence[Part],
    submit: Callable[[Part], Submitted[R]],
    config: FanOutConfig,
    label: str,
) -> list[R]:
    """Run a step on every part, `config.shards_at_once` at a time; references in their order.

    The first error is raised after the parts under way have ended; what they wrote is kept.
    """
    waiting: deque[Submitted[R]] = deque()
    done: list[R] = []
    with progress(label, len(parts)) as report, runner(config):
        for part in parts:
            waiting.append(submit(part))
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
