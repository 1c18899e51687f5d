"""The batch transport: calls are collected into OpenAI-style batch files, at half the price.

It stands where the other transports stand, so validation, repair, cache, budget and ledger are
the same; an answer merely takes up to a day. Whatever asks concurrently ends up in one file: a
batch is sent when no further call has come for `batch_quiet_s`. Batches are recorded in the cache
by id; after a kill the same run attaches to them and sends nothing twice.
"""

import asyncio
import logging
from typing import Any, Final

from pydantic import SecretStr

from recsys_core.config import LLMConfig
from recsys_core.llm.batch_files import LABEL, MAX_BYTES, MAX_LINES, BatchRecord, lines, results
from recsys_core.llm.cache import AnswerCache
from recsys_core.llm.litellm_transport import close_clients, failure_of, load_litellm
from recsys_core.llm.transport import Completion, Outgoing, SendFailed

_LOG: Final = logging.getLogger(__name__)
_DONE: Final = frozenset({"completed", "failed", "expired", "cancelled"})
_LOOKS: Final = 20
"""Failed looks at a batch in a row before its calls are given up (the batch stays recorded)."""

_Waiting = dict[str, "asyncio.Future[Completion]"]


class BatchTransport:
    """Collects calls, sends them as files, and waits for the results."""

    durable = True

    def __init__(self, config: LLMConfig, *, api_key: SecretStr | None, cache: AnswerCache) -> None:
        self._config = config
        provider = config.model.partition("/")[0] if "/" in config.model else "openai"
        self._fixed: dict[str, Any] = {"custom_llm_provider": provider, "max_retries": 0}
        if config.api_base is not None:
            self._fixed |= {"api_base": config.api_base, "api_key": "none"}
        if api_key is not None:
            self._fixed["api_key"] = api_key.get_secret_value()
        self._record = BatchRecord(cache, f"{config.model} {config.api_base or ''}")
        self._litellm: Any = None
        self._opening = asyncio.Lock()
        self._queue: list[Outgoing] = []
        self._waiting: _Waiting = {}
        self._early: dict[str, Completion] = {}
        self._under_way: set[str] = set()
        self._flush: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, outgoing: Outgoing) -> Completion:
        """Wait for the answer in a batch under way, or put the call into the next one."""
        if outgoing.key in self._early:
            return self._early.pop(outgoing.key)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[outgoing.key] = answer
        if outgoing.key not in self._under_way:
            self._enqueue(outgoing)
        try:
            result: Completion = await answer
        finally:
            self._waiting.pop(outgoing.key, None)
        return result

    async def close(self) -> None:
        """Stop watching; the batches go on at the provider and are found again."""
        if self._flush is not None:
            self._flush.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._litellm is not None:
            await close_clients(self._litellm)

    async def prepare(self) -> None:
        """Import litellm, and find the batches of an earlier run again."""
        async with self._opening:
            if self._litellm is not None:
                return
            litellm = await asyncio.to_thread(load_litellm)
            self._record.tidy()
            for batch, remote in self._record.open_batches().items():
                keys = self._record.keys(batch)
                found = remote or await self._find(litellm, batch)
                if found is None:  # killed before it was sent
                    self._record.drop(batch, keys)
                    continue
                self._record.sent(batch, found)
                self._watch(batch, found, keys)
                _LOG.info("attached to a batch", extra={"batch": found, "calls": len(keys)})
            self._litellm = litellm

    async def _find(self, litellm: Any, batch: str) -> str | None:
        try:
            listed = await litellm.alist_batches(limit=100, **self._fixed)
        except Exception as error:
            raise failure_of(error, self._config.timeout_s) from None
        for one in getattr(listed, "data", None) or []:
            if (getattr(one, "metadata", None) or {}).get(LABEL) == batch:
                return str(one.id)
        return None

    def _enqueue(self, outgoing: Outgoing) -> None:
        self._queue.append(outgoing)
        self._under_way.add(outgoing.key)
        if self._flush is not None:
            self._flush.cancel()
        full = len(self._queue) >= MAX_LINES
        delay = 0.0 if full else self._config.batch_quiet_s
        self._flush = asyncio.get_running_loop().call_later(delay, self._send_queue)

    def _send_queue(self) -> None:
        calls, self._queue, self._flush = self._queue, [], None
        chunk: list[tuple[str, bytes]] = []
        size = 0
        for outgoing, line in zip(calls, lines(calls), strict=True):
            if chunk and (len(chunk) >= MAX_LINES or size + len(line) > MAX_BYTES):
                self._start(self._submit(chunk))
                chunk, size = [], 0
            chunk.append((outgoing.key, line))
            size += len(line)
        if chunk:
            self._start(self._submit(chunk))

    async def _submit(self, chunk: list[tuple[str, bytes]]) -> None:
        keys = [key for key, _ in chunk]
        batch = self._record.begin(keys)
        try:
            content = b"".join(line for _, line in chunk)
            file = await self._litellm.acreate_file(
                file=(f"{batch}.jsonl", content), purpose="batch", **self._fixed
            )
            made = await self._litellm.acreate_batch(
                completion_window="24h",
                endpoint="/v1/chat/completions",
                input_file_id=file.id,
                metadata={LABEL: batch},
                **self._fixed,
            )
        except Exception as error:
            failure = failure_of(error, self._config.timeout_s)
            if failure.status is not None:  # rejected: nothing was bought
                self._record.drop(batch, keys)
            self._fail(keys, failure)
            return
        self._record.sent(batch, made.id)
        _LOG.info("sent a batch", extra={"batch": made.id, "calls": len(keys)})
        await self._follow(batch, made.id, keys)

    def _watch(self, batch: str, remote: str, keys: list[str]) -> None:
        self._under_way.update(keys)
        self._start(self._follow(batch, remote, keys))

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
                state = await self._litellm.aretrieve_batch(batch_id=remote, **self._fixed)
                if state.status in _DONE:
                    self._deliver(batch, keys, state, await self._contents(state))
                    return
                failures = 0
            except Exception as error:
                failures += 1
                failure = failure_of(error, self._config.timeout_s)
                if failure.fatal or failures >= _LOOKS:
                    self._fail(keys, failure)
                    return
            await asyncio.sleep(self._config.batch_poll_s)

    async def _contents(self, state: Any) -> list[bytes]:
        files = [getattr(state, name, None) for name in ("output_file_id", "error_file_id")]
        return [
            (await self._litellm.afile_content(file_id=file, **self._fixed)).content
            for file in files
            if file
        ]

    def _deliver(self, batch: str, keys: list[str], state: Any, contents: list[bytes]) -> None:
        mine, lost = set(keys), []
        found = {key: one for content in contents for key, one in results(content) if key in mine}
        rejected = SendFailed(
            f"batch {state.status}: {getattr(state, 'errors', None)}"[:500],
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
                answer.set_exception(
                    SendFailed(str(failure), status=failure.status, retry_after=failure.retry_after)
                )
