"""Executing one request: cache, single flight per key, budget, rate limits, attempts, ledger."""

import asyncio
import logging
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pydantic import SecretStr

from recsys_core.errors import LLMError, LLMRefused, LLMUnavailable
from recsys_core.http.backoff import Backoff
from recsys_core.llm.accounting.budget import Budget, Spending
from recsys_core.llm.accounting.ledger import Call, Verdict
from recsys_core.llm.accounting.prices import Price
from recsys_core.llm.accounting.tokens import TokenEstimator, guess
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.execution.dialects import Dialects
from recsys_core.llm.execution.rate_limits import Limits
from recsys_core.llm.request.chat_request import AnyChat
from recsys_core.llm.request.json_schema import Dialect
from recsys_core.llm.store.answers import AnswerCache, Record
from recsys_core.llm.transport.base import Completion, SendFailed, Transport

_LOG: Final = logging.getLogger(__name__)
FIRST_WAIT_S: Final = 1.0
"""Wait before the second attempt."""
_WAITED_LONG_S: Final = 1.0
_SECRET: Final = 8
"""Shortest key that is one."""


class ItemRefused(LLMRefused):
    """The endpoint rejected this one request; the others may pass."""


@dataclass
class _Trace:
    """What happened to a call on its way."""

    started: float
    attempts: int = 0
    latency: float = 0.0
    waited: float = 0.0


class Executor:
    """Executes requests; every answer is bought once.

    Args:
        config: attempts, time-outs, schema mode.
        transport: the way to the endpoint.
        cache: answers, ledger and spending.
        limits: rate limits, shared with whoever else uses the endpoint in this process.
        budget: the ceiling, shared within the run.
        price: of a token.
        run: name under which the budget adds up.
        secret: the key, blanked out wherever an endpoint echoes it.
    """

    def __init__(
        self,
        config: LLMConfig,
        *,
        transport: Transport,
        cache: AnswerCache,
        limits: Limits,
        budget: Budget,
        price: Price,
        run: str,
        secret: SecretStr | None = None,
    ) -> None:
        self._config, self._transport, self._cache = config, transport, cache
        self._limits, self.budget, self._price = limits, budget, price
        self._run, self._secret = run, secret
        self.session = uuid.uuid4().hex
        self.counts: Counter[str] = Counter()
        self.found: set[str] = set()
        """Keys of the answers that came from the cache."""
        self._tokens = TokenEstimator()
        self._backoff = Backoff(
            attempts=config.max_attempts, first_s=FIRST_WAIT_S, longest_s=config.backoff_max_s
        )
        self._random = random.Random()  # noqa: S311 - jitter must differ between processes
        self._dialects = Dialects(config.schema_mode, self.counts)
        self._flights: dict[str, asyncio.Task[tuple[Completion, bool]]] = {}
        self._sent: set[asyncio.Task[object]] = set()
        self._closing = False
        self._refusal: LLMError | None = None

    async def execute(self, chat: AnyChat, *, fresh: bool = False) -> tuple[Completion, bool]:
        """The model's answer to `chat`, and whether it came from the cache.

        `fresh` asks again and replaces the cached answer. The call is a task of its own: an asker
        that is cancelled does not lose what is paid for.

        Raises:
            LLMError: there is no answer.
        """
        flight = self._flights.get(chat.key)
        if flight is None:
            flight = asyncio.create_task(self._fly(chat, fresh))
            self._flights[chat.key] = flight
            flight.add_done_callback(partial(self._landed, chat.key))
        else:
            self.counts["shared_answers"] += 1
        return await asyncio.shield(flight)

    async def close(self) -> None:
        """Drop the calls that have not been sent; wait for the others, which are paid for."""
        self._closing = True
        kept = set() if self._transport.durable else self._sent
        flights = set(self._flights.values())
        for flight in flights - kept:
            flight.cancel()
        if kept:
            _LOG.info("waiting for answers under way", extra={"calls": len(kept)})
        await asyncio.gather(*flights, return_exceptions=True)
        await self._transport.close()

    def _landed(self, key: str, flight: asyncio.Task[tuple[Completion, bool]]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, even if every asker is gone

    async def _fly(self, chat: AnyChat, fresh: bool) -> tuple[Completion, bool]:
        asked = time.monotonic()
        cached = None if fresh else await self._cache.get(chat.key)
        if cached is None:
            await self._transport.prepare()
            async with self._limits.in_flight():
                if self._refusal is not None:  # a call that waited meets it without being sent
                    raise self._refusal
                if not fresh and time.monotonic() - asked > _WAITED_LONG_S:
                    cached = await self._cache.get(chat.key)  # by another process, meanwhile
                if cached is None:
                    trace = _Trace(time.time(), waited=time.monotonic() - asked)
                    return await self._buy(chat, trace, fresh), False
        self.counts["cached_answers"] += 1
        self.found.add(chat.key)
        return cached, True

    async def _buy(self, chat: AnyChat, trace: _Trace, fresh: bool) -> Completion:
        tokens_in = self._tokens.prompt(chat.prompt_tokens)
        dollars = self._price.dollars(tokens_in, chat.max_answer_tokens)
        reserved = Spending(dollars=dollars, tokens=tokens_in + chat.max_answer_tokens)
        await self.budget.reserve(reserved)
        total = None
        try:
            completion = await self._attempt(chat, trace)
            if completion.billed:
                self._tokens.learn(
                    chat.purpose, chat.prompt_tokens, completion.tokens_in, completion.tokens_out
                )
            total = await self._store(chat, trace, completion, chat.verdict(completion), fresh)
            return completion
        except SendFailed as failure:
            verdict: Verdict = "unavailable" if failure.retryable else "refused"
            await self._store(chat, trace, None, verdict, fresh)
            error = self._error(chat, trace, failure)
            if failure.fatal:
                self._refusal = error
            raise error from None
        finally:
            self._sent.discard(_this_task())
            self.budget.release(reserved, total)

    async def _attempt(self, chat: AnyChat, trace: _Trace) -> Completion:
        while True:
            trace.attempts += 1
            dialect = self._dialects.of(chat)
            try:
                return await self._send(chat, dialect, trace)
            except SendFailed as failure:
                if self._dialects.lower(chat, dialect, failure):
                    continue
                wait = self._backoff.wait(trace.attempts, failure.retry_after, self._random)
                if wait is None or self._closing or not failure.retryable:
                    raise
                self.counts["retries"] += 1
                _LOG.warning("attempt failed", extra={
                    "subject": chat.subject, "purpose": chat.purpose, "wait_s": wait,
                    "attempt": trace.attempts, "problem": str(failure)[:200],
                })  # fmt: skip
            trace.waited += wait
            await asyncio.sleep(wait)

    async def _send(self, chat: AnyChat, dialect: Dialect, trace: _Trace) -> Completion:
        payload = chat.payload(dialect)
        tokens_in = self._tokens.prompt(chat.prompt_tokens)
        asked = time.monotonic()
        start = await self._limits.start(
            tokens_in + self._tokens.answer(chat.purpose, chat.max_answer_tokens)
        )
        begun = time.monotonic()
        trace.waited += begun - asked
        self._sent.add(_this_task())
        try:
            completion = self._checked(await self._transport.send(payload), chat)
        except SendFailed as failure:
            self._sent.discard(_this_task())
            self._limits.correct(start, tokens_in)
            raise self._redacted(failure) from None
        finally:
            trace.latency += time.monotonic() - begun
        self._limits.correct(start, completion.tokens_in + completion.tokens_out)
        return completion

    def _checked(self, completion: Completion, chat: AnyChat) -> Completion:
        if not completion.billed:
            self.counts["answers_without_usage"] += 1
            answer = guess([{"content": completion.text}])
            completion = replace(completion, tokens_in=chat.prompt_tokens, tokens_out=answer)
        text, refusal = self._blanked(completion.text), self._blanked(completion.refusal)
        return replace(completion, text=text, refusal=refusal)

    async def _store(
        self,
        chat: AnyChat,
        trace: _Trace,
        completion: Completion | None,
        verdict: Verdict,
        fresh: bool,
    ) -> Spending:
        used = completion or Completion(text="")
        if completion is not None and not self._price.known:
            self.counts["answers_without_price"] += 1
        call = Call(
            key=chat.key,
            purpose=chat.purpose,
            subject=chat.subject,
            model=self._config.model,
            prompt_version=chat.prompt_version,
            tokens_in=used.tokens_in,
            tokens_out=used.tokens_out,
            cost=self._price.dollars(used.tokens_in, used.tokens_out, used.tokens_cached),
            latency_s=trace.latency,
            waited_s=trace.waited,
            attempts=trace.attempts,
            verdict=verdict,
            started=trace.started,
        )
        return await self._cache.put(
            Record(
                call=call,
                run=self._run,
                session=self.session,
                completion=completion,
                replace=fresh,
            )
        )

    def _error(self, chat: AnyChat, trace: _Trace, failure: SendFailed) -> LLMError:
        seen = (
            f"{self._config.model} gave no answer about {chat.subject} ({chat.purpose})"
            f" in {trace.attempts} attempt(s): {failure}"
        )
        if failure.retryable:
            return LLMUnavailable(
                seen,
                expected="an answer within llm.max_attempts attempts of llm.timeout_s each.",
                fix="check the endpoint and llm.api_base, lower llm.max_in_flight or the limits per"
                " minute, and run again: every answer so far is kept.",
            )
        kind = LLMRefused if failure.fatal else ItemRefused
        return kind(
            seen,
            expected="a key, an address and a model that the endpoint accepts.",
            fix="check llm.model, llm.api_base and the environment variable that holds the key"
            " (llm.api_key_env).",
        )

    def _redacted(self, failure: SendFailed) -> SendFailed:
        message = self._blanked(str(failure))
        return SendFailed(message, status=failure.status, retry_after=failure.retry_after)

    def _blanked(self, text: str) -> str:
        value = self._secret.get_secret_value() if self._secret else ""
        # Local servers take any word as a key; blanking "x" out of answers would ruin them.
        return text.replace(value, "***") if len(value) >= _SECRET else text


def _this_task() -> "asyncio.Task[object]":
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called from coroutines only
    return task
