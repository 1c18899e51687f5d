"""The batch transport: calls are collected into OpenAI-style batch files, at half the price.

It is a transport like the others, so validation, repair, cache, budget and ledger are the same;
an answer merely takes up to a day. Whatever asks concurrently ends up in one file: a
batch is sent when no further call has come for `QUIET_S`. Batches are recorded in the cache
by id; after a kill the same run attaches to them and sends nothing twice.
"""

import asyncio
import logging
from typing import Any, Final

from recsys_core.llm.config import LLMConfig
from recsys_core.llm.store.answers import AnswerCache
from recsys_core.llm.transport.base import Completion, Payload, SendFailed
from recsys_core.llm.transport.batch_endpoint import BatchEndpoint
from recsys_core.llm.transport.batch_files import (
    MAX_BYTES,
    MAX_LINE,
    MAX_LINES,
    BatchRecord,
    lines,
    results,
)
from recsys_core.llm.transport.litellm import failure_of

_LOG: Final = logging.getLogger(__name__)
_DONE: Final = frozenset({"completed", "failed", "expired", "cancelled"})
QUIET_S: Final = 2.0
"""Seconds without a further call after which a batch is sent."""
POLL_S: Final = 30.0
"""Seconds between two looks at a batch."""
_LOOKS: Final = 20
"""Failed looks at a batch in a row before its calls are given up (the batch stays recorded)."""

_Waiting = dict[str, "asyncio.Future[Completion]"]


class BatchTransport:
    """Collects calls, sends them as files, and waits for the results."""

    durable = True

    def __init__(self, config: LLMConfig, *, endpoint: BatchEndpoint, cache: AnswerCache) -> None:
        self._config, self._endpoint = config, endpoint
        self._record = BatchRecord(cache, f"{config.model} {config.api_base or ''}")
        self._ready = False
        self._opening = asyncio.Lock()
        self._queue: list[Payload] = []
        self._waiting: _Waiting = {}
        self._early: dict[str, Completion] = {}
        self._under_way: set[str] = set()
        self._flush: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, payload: Payload) -> Completion:
        """Wait for the answer in a batch under way, or put the call into the next one."""
        if payload.key in self._early:
            return self._early.pop(payload.key)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[payload.key] = answer
        if payload.key not in self._under_way:
            self._enqueue(payload)
        try:
            result: Completion = await answer
        finally:
            self._waiting.pop(payload.key, None)
        return result

    async def close(self) -> None:
        """Stop watching; the batches go on at the provider and are found again."""
        if self._flush is not None:
            self._flush.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._endpoint.close()

    async def prepare(self) -> None:
        """Find the batches of an earlier run again."""
        async with self._opening:
            if self._ready:
                return
            await self._endpoint.prepare()
            self._record.tidy()
            for batch, remote in self._record.open_batches().items():
                keys = self._record.keys(batch)
                found = remote or await self._find(batch)
                if found is None:  # killed before it was sent
                    self._record.drop(batch, keys)
                    continue
                self._record.sent(batch, found)
                self._under_way.update(keys)
                self._start(self._follow(batch, found, keys))
                _LOG.info("attached to a batch", extra={"batch": found, "calls": len(keys)})
            self._ready = True

    async def _find(self, batch: str) -> str | None:
        try:
            return await self._endpoint.find(batch)
        except Exception as error:
            raise failure_of(error, self._config.timeout_s) from None

    def _enqueue(self, payload: Payload) -> None:
        self._queue.append(payload)
        self._under_way.add(payload.key)
        if self._flush is not None:
            self._flush.cancel()
        full = len(self._queue) >= MAX_LINES
        delay = 0.0 if full else QUIET_S
        self._flush = asyncio.get_running_loop().call_later(delay, self._send_queue)

    def _send_queue(self) -> None:
        calls, self._queue, self._flush = self._queue, [], None
        chunk: list[tuple[str, bytes]] = []
        size = 0
        for payload, line in zip(calls, lines(calls), strict=True):
            if chunk and (len(chunk) >= MAX_LINES or size + len(line) > MAX_BYTES):
                self._start(self._submit(chunk))
                chunk, size = [], 0
            chunk.append((payload.key, line))
            size += len(line)
        if chunk:
            self._start(self._submit(chunk))

    async def _submit(self, chunk: list[tuple[str, bytes]]) -> None:
        keys = [key for key, _ in chunk]
        batch = self._record.begin(keys)
        try:
            made = await self._endpoint.create(batch, b"".join(line for _, line in chunk))
        except Exception as error:
            failure = failure_of(error, self._config.timeout_s)
            if failure.status is not None:  # rejected: nothing was bought
                self._record.drop(batch, keys)
            self._fail(keys, failure)
            return
        self._record.sent(batch, made)
        _LOG.info("sent a batch", extra={"batch": made, "calls": len(keys)})
        await self._follow(batch, made, keys)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(list(self._waiting), SendFailed(f"the batch cannot be followed: {error}"))

    async def _follow(self, batch: str, remote: str, keys: list[str]) -> None:
        failures = 0
        while True:
            try:
                state = await self._endpoint.look(remote)
                if state.status in _DONE:
                    contents = await self._contents(state, len(keys))
                    self._deliver(batch, keys, state, contents)
                    return
                failures = 0
            except Exception as error:
                failures += 1
                failure = failure_of(error, self._config.timeout_s)
                if failure.malformed:  # its results can never be read
                    self._record.drop(batch, keys)
                if failure.fatal or failure.malformed or failures >= _LOOKS:
                    self._fail(keys, failure)
                    return
            await asyncio.sleep(POLL_S)

    async def _contents(self, state: Any, calls: int) -> list[bytes]:
        files = [getattr(state, name, None) for name in ("output_file_id", "error_file_id")]
        return [await self._endpoint.content(file, calls * MAX_LINE) for file in files if file]

    def _deliver(self, batch: str, keys: list[str], state: Any, contents: list[bytes]) -> None:
        mine, lost = set(keys), []
        found = {key: one for content in contents for key, one in results(content) if key in mine}
        rejected = SendFailed(
            f"batch {state.status}: {getattr(state, 'errors', None)}",
            status=400 if state.status == "failed" else None,
        )
        for key in keys:
            outcome = found.get(key, rejected)
            if isinstance(outcome, SendFailed):
                lost.append(key)
                self._fail([key], outcome)
            elif key in self._waiting:
                self._settle(key, outcome)
            else:
                self._early[key] = outcome
        self._under_way.difference_update(keys)
        self._record.drop(batch, lost)

    def _settle(self, key: str, completion: Completion) -> None:
        answer = self._waiting[key]
        if not answer.done():
            answer.set_result(completion)

    def _fail(self, keys: list[str], failure: SendFailed) -> None:
        self._under_way.difference_update(keys)
        for key in keys:
            answer = self._waiting.get(key)
            if answer is not None and not answer.done():
                answer.set_exception(failure.again())
