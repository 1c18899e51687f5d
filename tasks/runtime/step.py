"""What makes a function a step: a Prefect task that writes one artifact, retried and cached.

A step is declared by decorating a function that fills an `ArtifactWriter`:

    @step("split", version="1", returns=SplitRef)
    def split(out: ArtifactWriter, *, data: DatasetRef, config: SplitConfig, seed: int) -> None:
        ...

and called with the store in the writer's place: `split(store, data=data, config=config, seed=0)`
returns a `SplitRef`. Two things keep work from being done twice, both verified byte by byte:

- Prefect's record of a finished task run (cache policy on the content key). Its result is the
  reference, and loading a reference checks the files it names, so a damaged one is a miss.
- The artifact itself. A task run that starts although its artifact is there and intact (another
  machine wrote it, or a crash came between the two records) returns it.
"""

import functools
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

import httpx
from prefect import task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture
from prefect.tasks import Task, exponential_backoff

from recsys_core.artifacts import ArtifactRef, ArtifactStore, ArtifactWriter, content_hash
from recsys_core.errors import RecsysError
from tasks.runtime.resources import measured
from tasks.runtime.result_records import ReferenceSerializer, read_only_our_records
from tasks.runtime.run_log import current_run_id, record
from tasks.runtime.slots import tell_if_waiting

P = ParamSpec("P")
R = TypeVar("R", bound=ArtifactRef)
R_co = TypeVar("R_co", bound=ArtifactRef, covariant=True)

read_only_our_records()

RETRIES: Final = 2
HOUR: Final = 3600
DAY: Final = 24 * HOUR


@dataclass(frozen=True, kw_only=True)
class Submitted(Generic[R_co]):
    """A step under way on the flow's task runner."""

    name: str
    future: PrefectFuture[R_co]
    started: float = field(default_factory=time.perf_counter)

    def result(self) -> R_co:
        """Wait for it.

        Raises:
            Exception: whatever the step raised.
        """
        ref = self.future.result()
        record(self.name, ref, time.perf_counter() - self.started)
        return ref


class Step(Generic[P, R]):
    """A function that fills a writer, as a cached and retried task; made by `step`."""

    def __init__(
        self,
        build: Callable[Concatenate[ArtifactWriter, P], None],
        run: Task[[ArtifactStore, dict[str, Any]], R],
    ) -> None:
        functools.update_wrapper(self, build)
        self._build, self._task = build, run

    def __call__(self, store: ArtifactStore, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the step here and now; the reference to its artifact."""
        started = time.perf_counter()
        tell_if_waiting(self._task.name, self._task.tags)
        ref = self._task(store, bound_inputs(self._build, args, kwargs))
        record(self._task.name, ref, time.perf_counter() - started)
        return ref

    def submit(self, store: ArtifactStore, *args: P.args, **kwargs: P.kwargs) -> Submitted[R]:
        """Hand the step to the task runner of the flow in progress.

        Without Prefect's time-out: in a runner's threads it could not interrupt anything, and
        every task would warn of that. What waits for others has time-outs of its own.
        """
        unbounded = self._task.with_options(timeout_seconds=0)
        future = unbounded.submit(store, bound_inputs(self._build, args, kwargs))
        return Submitted(name=self._task.name, future=future)


def step(
    name: str,
    *,
    version: str,
    returns: type[R],
    timeout_seconds: float = HOUR,
    tags: tuple[str, ...] = (),
) -> Callable[[Callable[Concatenate[ArtifactWriter, P], None]], Step[P, R]]:
    """Turn a function that fills a writer into a cached, retried step.

    Args:
        name: folder of its artifacts under the root, and name of its task.
        version: raise it whenever the same inputs would give another output.
        returns: the type of its references, which says what tables it writes.
        timeout_seconds: bound of one attempt.
        tags: further tags; `recsys` and the name are always there.
    """

    def decorate(build: Callable[Concatenate[ArtifactWriter, P], None]) -> Step[P, R]:
        return Step(build, _as_task(build, name, version, returns, timeout_seconds, tags))

    return decorate


def bound_inputs(
    build: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The step's inputs by name, defaults applied, so that the key does not depend on the call."""
    bound = inspect.signature(build).bind(None, *args, **kwargs)
    bound.apply_defaults()
    return dict(list(bound.arguments.items())[1:])


def content_key(name: str, version: str, inputs: dict[str, Any]) -> str:
    """Content key of a step: its name and version, its parameters, its inputs' contents."""
    return content_hash({"step": name, "version": version, "inputs": inputs})


def _as_task(
    build: Callable[..., None],
    name: str,
    version: str,
    returns: type[R],
    timeout: float,
    tags: tuple[str, ...],
) -> Task[[ArtifactStore, dict[str, Any]], R]:
    def cache_key(_: TaskRunContext, parameters: dict[str, Any]) -> str:
        key = content_key(name, version, parameters["inputs"])
        return content_hash({"root": parameters["store"].root, "key": key})

    @task(
        name=name,
        version=version,
        description=inspect.getdoc(build),
        tags={"recsys", name, *tags},
        retries=RETRIES,
        retry_delay_seconds=exponential_backoff(2),
        retry_jitter_factor=0.5,
        retry_condition_fn=worth_a_retry,
        timeout_seconds=timeout,
        cache_policy=CacheKeyFnPolicy(cache_key_fn=cache_key),
        persist_result=True,
        result_serializer=ReferenceSerializer(),
    )
    def run(store: ArtifactStore, inputs: dict[str, Any]) -> R:
        key = content_key(name, version, inputs)
        found = store.find(name, key) or _build(build, store, name, version, key, inputs)
        return found.as_type(returns)

    return run


def _build(
    build: Callable[..., None],
    store: ArtifactStore,
    name: str,
    version: str,
    key: str,
    inputs: dict[str, Any],
) -> ArtifactRef:
    refs = {k: v.content_hash for k, v in inputs.items() if isinstance(v, ArtifactRef)}
    with store.writer(name, key) as out:
        with measured() as cost:
            build(out, **inputs)
        return out.commit(
            version=version,
            parameters={k: v for k, v in inputs.items() if k not in refs},
            inputs=refs,
            built_by=current_run_id(),
            seconds=cost.seconds,
            peak_memory_mib=cost.peak_memory_mib,
        )


def worth_a_retry(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """Whether another attempt can help: remote trouble yes, bad input and bugs no."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, RecsysError):
        return error.retryable
    return isinstance(error, httpx.TransportError | ConnectionError)
