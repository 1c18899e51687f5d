"""What makes a function a step: a Prefect task that writes one artifact, retried and cached.

A step is declared by decorating a function that fills an `ArtifactWriter`:

    @step("split", version="4", returns=SplitRef)
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
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture
from prefect.tasks import Task, exponential_backoff

from recsys_core.artifacts import ArtifactRef, ArtifactStore, ArtifactWriter, content_hash
from recsys_core.artifacts.building import building
from tasks.runtime.keys import bound_inputs, content_key, versions, without
from tasks.runtime.resources import measured
from tasks.runtime.runs.run_log import current_run_id, record
from tasks.runtime.server.patience import patiently, worth_a_retry
from tasks.runtime.server.result_records import ReferenceSerializer, read_only_our_records
from tasks.runtime.server.slots import tell_if_waiting

P = ParamSpec("P")
R = TypeVar("R", bound=ArtifactRef)
R_co = TypeVar("R_co", bound=ArtifactRef, covariant=True)

read_only_our_records()

RETRIES: Final = 2
ASKS: Final = "llm"
"""Tag of a step that may ask a language model: what it builds is paid for, and built once."""
_LOG: Final = logging.getLogger(__name__)
_KEPT_ONLY: ContextVar[bool] = ContextVar("kept_only", default=False)


class NotKept(Exception):
    """A step's artifact is not there, and nothing is to be computed."""


@contextmanager
def kept_only() -> Iterator[None]:
    """Let steps inside give the references of artifacts that are there; others raise NotKept."""
    token = _KEPT_ONLY.set(True)
    try:
        yield
    finally:
        _KEPT_ONLY.reset(token)


def in_kept_only() -> bool:
    """Whether nothing is to be computed."""
    return _KEPT_ONLY.get()


RestsOn = Callable[[Mapping[str, Any]], Mapping[str, object]]
"""From the inputs of a step to what its result rests on beside them, by name."""

HOUR: Final = 3600
DAY: Final = 24 * HOUR


@dataclass(frozen=True, kw_only=True)
class Submitted(Generic[R_co]):
    """A step under way on the flow's task runner."""

    name: str
    future: PrefectFuture[R_co]
    again: Callable[[], PrefectFuture[R_co]]
    place: str
    """Where its artifact lies."""
    anew: Callable[[], PrefectFuture[R_co]]
    """The same without Prefect's record of it."""
    started: float = field(default_factory=time.perf_counter)

    def result(self) -> R_co:
        """Wait for it.

        Raises:
            Exception: whatever the step raised.
        """
        futures = chain([self.future], iter(self.again, None))
        ref = patiently(lambda: next(futures).result())
        if ref.uri != self.place:
            _tell_foreign(self.name)
            ref = patiently(lambda: self.anew().result())
        record(self.name, ref, time.perf_counter() - self.started)
        return ref


class Step(Generic[P, R]):
    """A function that fills a writer, as a cached and retried task; made by `step`."""

    def __init__(
        self,
        build: Callable[Concatenate[ArtifactWriter, P], None],
        run: Task[[ArtifactStore, dict[str, Any], dict[str, Any]], R],
        rests_on: RestsOn,
        returns: type[R],
        hints: frozenset[str],
    ) -> None:
        functools.update_wrapper(self, build)
        self._build, self._task, self._rests_on = build, run, rests_on
        self.name, self.version, self._returns = run.name, str(run.version), returns
        self._hints = hints

    def __call__(self, store: ArtifactStore, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the step here and now; the reference to its artifact."""
        started = time.perf_counter()
        inputs = bound_inputs(self._build, args, kwargs)
        rests_on = dict(self._rests_on(inputs))
        if _KEPT_ONLY.get():
            return self._kept(store, inputs, rests_on)
        ref = patiently(lambda: self._now(store, inputs, rests_on))
        record(self._task.name, ref, time.perf_counter() - started)
        return ref

    def _now(self, store: ArtifactStore, inputs: dict[str, Any], rests_on: dict[str, Any]) -> R:
        tell_if_waiting(self._task.name, self._task.tags)
        ref = self._task(store, inputs, rests_on)
        if ref.uri == self._place(store, inputs, rests_on):
            return ref
        _tell_foreign(self.name)
        return self._task.with_options(refresh_cache=True)(store, inputs, rests_on)

    def _key(self, inputs: Mapping[str, Any], rests_on: Mapping[str, Any]) -> str:
        return content_key(self.name, self.version, without(inputs, self._hints), rests_on)

    def _place(
        self, store: ArtifactStore, inputs: Mapping[str, Any], rests_on: Mapping[str, Any]
    ) -> str:
        return store.uri(self.name, self._key(inputs, rests_on))

    def _kept(self, store: ArtifactStore, inputs: dict[str, Any], rests_on: dict[str, Any]) -> R:
        """The reference to the artifact that is there.

        Raises:
            NotKept: there is none.
        """
        found = store.find(self.name, self._key(inputs, rests_on))
        if found is None:
            raise NotKept(self.name)
        return found.as_type(self._returns)

    def submit(self, store: ArtifactStore, *args: P.args, **kwargs: P.kwargs) -> Submitted[R]:
        """Hand the step to the task runner of the flow in progress.

        Without Prefect's time-out: in a runner's threads it could not interrupt anything, and
        every task would warn of that. What waits for others has time-outs of its own.
        """
        unbounded = self._task.with_options(timeout_seconds=0)
        inputs = bound_inputs(self._build, args, kwargs)
        rests_on = dict(self._rests_on(inputs))

        def start(task: Task[Any, R] = unbounded) -> PrefectFuture[R]:
            return task.submit(store, inputs, rests_on)

        return Submitted(
            name=self._task.name, future=patiently(start), again=start,
            place=self._place(store, inputs, rests_on),
            anew=partial(start, unbounded.with_options(refresh_cache=True)),
        )  # fmt: skip


def step(
    name: str,
    *,
    version: str,
    returns: type[R],
    timeout_seconds: float = HOUR,
    tags: tuple[str, ...] = (),
    rests_on: RestsOn = lambda _: {},
    hints: Collection[str] = (),
    libraries: Collection[str] = (),
) -> Callable[[Callable[Concatenate[ArtifactWriter, P], None]], Step[P, R]]:
    """Turn a function that fills a writer into a cached, retried step.

    Args:
        name: folder of its artifacts under the root, and name of its task.
        version: raise it whenever the same inputs would give another output.
        returns: the type of its references, which says what tables it writes.
        timeout_seconds: bound of one attempt.
        tags: further tags; `recsys` and the name are always there.
        rests_on: what the result depends on beside the inputs and the version: prompts, weights
            of a model, a grid of hyperparameters. It is part of the content key.
        hints: inputs that say where to start from (an earlier run's model or lists) and not what
            is wanted. They are no part of the content key: an artifact that is there is taken,
            whatever it started from, and only a new one starts from these.
        libraries: packages whose version changes the result, as part of what it rests on. Not
            those that compute the same to rounding on any machine (torch, kernels, OpenVINO):
            another worker shall find the artifact. Every version stands in the manifest.
    """

    def known(inputs: Mapping[str, Any]) -> Mapping[str, object]:
        found = rests_on(inputs)
        return {**found, "libraries": versions(libraries)} if libraries else found

    def decorate(build: Callable[Concatenate[ArtifactWriter, P], None]) -> Step[P, R]:
        run = _as_task(build, name, version, returns, timeout_seconds, tags, frozenset(hints))
        return Step(build, run, known, returns, frozenset(hints))

    return decorate


def _as_task(
    build: Callable[..., None],
    name: str,
    version: str,
    returns: type[R],
    timeout: float,
    tags: tuple[str, ...],
    hints: frozenset[str],
) -> Task[[ArtifactStore, dict[str, Any], dict[str, Any]], R]:
    def cache_key(_: TaskRunContext, parameters: dict[str, Any]) -> str:
        keyed = without(parameters["inputs"], hints)
        key = content_key(name, version, keyed, parameters["rests_on"])
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
    def run(store: ArtifactStore, inputs: dict[str, Any], rests_on: dict[str, Any]) -> R:
        keyed = without(inputs, hints)
        key = content_key(name, version, keyed, rests_on)
        found = store.find(name, key)
        if found is None:
            made = partial(
                _build, partial(build, **inputs), store, name, version, key, keyed, rests_on
            )
            if ASKS in tags:
                with building(store.uri(name, key)):
                    found = store.find(name, key) or made()
            else:
                found = made()
        return found.as_type(returns)

    return run


def _tell_foreign(name: str) -> None:
    _LOG.warning(
        f"Prefect's record of a finished step {name} names the artifact of another one: it is not"
        " believed"
    )


def _build(
    work: Callable[[ArtifactWriter], None],
    store: ArtifactStore,
    name: str,
    version: str,
    key: str,
    inputs: dict[str, Any],
    rests_on: dict[str, Any],
) -> ArtifactRef:
    refs = {k: v.content_hash for k, v in inputs.items() if isinstance(v, ArtifactRef)}
    with store.writer(name, key) as out:
        with measured() as cost:
            work(out)
        return out.commit(
            version=version,
            parameters={k: v for k, v in inputs.items() if k not in refs} | rests_on,
            inputs=refs,
            built_by=current_run_id(),
            seconds=cost.seconds,
            peak_memory_mib=cost.peak_memory_mib,
        )
