"""One call from end to end: cache, one flight per key, budget, limits, attempts, ledger."""

import asyncio
import logging
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pydantic import SecretStr

from recsys_core.errors import LLMError, LLMRefused, LLMUnavailable
from recsys_core.llm.accounting.budget import Budget, Spending
from recsys_core.llm.accounting.ledger import Call, Verdict
from recsys_core.llm.accounting.prices import Price
from recsys_core.llm.accounting.tokens import TokenEstimator, guess
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.execution.rate_limits import Limits
from recsys_core.llm.execution.retry import Backoff
from recsys_core.llm.request.chat_request import Question
from recsys_core.llm.request.json_schema import (
    Dialect,
    complains_about_format,
    response_format,
    schema_of,
)
from recsys_core.llm.request.templates import schema_prompt
from recsys_core.llm.store.answers import AnswerCache, Record
from recsys_core.llm.transport.base import Completion, Outgoing, SendFailed, Transport

_LOG: Final = logging.getLogger(__name__)
_WAITED_LONG_S: Final = 1.0
_SECRET: Final = 8
"""Shortest key that is one."""

Judge = Callable[[Completion], Verdict]


class ItemRefused(LLMRefused):
    """The endpoint rejected this one request; the others may pass."""


@dataclass
class _Trace:
    """What happened to a call on its way."""

    started: float
    attempts: int = 0
    latency: float = 0.0
    waited: float = 0.0


class Caller:
    """Makes calls, each answer once.

    Args:
        run: name under which the budget adds up.
        secret: the key, to be blanked out wherever an endpoint echoes it.
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
            attempts=config.max_attempts, first_s=config.backoff_s, longest_s=config.backoff_max_s
        )
        self._random = random.Random()  # noqa: S311 - jitter must differ between processes
        self._dialects: dict[str, Dialect] = {}
        self._flights: dict[str, asyncio.Task[tuple[Completion, bool]]] = {}
        self._sent: set[asyncio.Task[object]] = set()
        self._closing = False
        self._refusal: LLMError | None = None

    async def complete(
        self, question: Question, judge: Judge, *, fresh: bool = False
    ) -> tuple[Completion, bool]:
        """The model's answer to `question`, and whether it came from the cache.

        `judge` gives the verdict for the ledger. `fresh` asks again and replaces the cached answer.
        The call is a task of its own: an asker that is cancelled does not lose what is paid for.

        Raises:
            LLMError: there is no answer.
        """
        flight = self._flights.get(question.key)
        if flight is None:
            flight = asyncio.create_task(self._fly(question, judge, fresh))
            self._flights[question.key] = flight
            flight.add_done_callback(partial(self._landed, question.key))
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

    async def _fly(self, question: Question, judge: Judge, fresh: bool) -> tuple[Completion, bool]:
        asked = time.monotonic()
        cached = None if fresh else await self._cache.get(question.key)
        if cached is None:
            await self._transport.prepare()
            async with self._limits.in_flight():
                if self._refusal is not None:  # a call that waited meets it without being sent
                    raise self._refusal
                if not fresh and time.monotonic() - asked > _WAITED_LONG_S:
                    cached = await self._cache.get(question.key)  # by another process, meanwhile
                if cached is None:
                    trace = _Trace(time.time(), waited=time.monotonic() - asked)
                    return await self._buy(question, judge, trace, fresh), False
        self.counts["cached_answers"] += 1
        self.found.add(question.key)
        return cached, True

    async def _buy(
        self, question: Question, judge: Judge, trace: _Trace, fresh: bool
    ) -> Completion:
        guessed = guess(question.messages, schema_of(question.answer))
        tokens_in = self._tokens.prompt(guessed)
        dollars = self._price.dollars(tokens_in, question.longest)
        reserved = Spending(dollars=dollars, tokens=tokens_in + question.longest)
        await self.budget.reserve(reserved)
        total = None
        try:
            completion = await self._attempt(question, guessed, trace)
            if completion.billed:
                self._tokens.learn(
                    question.purpose, guessed, completion.tokens_in, completion.tokens_out
                )
            total = await self._store(question, trace, completion, judge(completion), fresh)
            return completion
        except SendFailed as failure:
            verdict: Verdict = "unavailable" if failure.retryable else "refused"
            await self._store(question, trace, None, verdict, fresh)
            error = self._error(question, trace, failure)
            if failure.fatal:
                self._refusal = error
            raise error from None
        finally:
            self._sent.discard(_this_task())
            self.budget.release(reserved, total)

    async def _attempt(self, question: Question, guessed: int, trace: _Trace) -> Completion:
        while True:
            trace.attempts += 1
            dialect = self._dialect(question)
            try:
                return await self._send(question, dialect, guessed, trace)
            except SendFailed as failure:
                if self._lower_dialect(question, dialect, failure):
                    continue
                wait = self._backoff.wait(trace.attempts, failure, self._random)
                if wait is None or self._closing:
                    raise
                self.counts["retries"] += 1
                _LOG.warning("attempt failed", extra={
                    "subject": question.subject, "purpose": question.purpose, "wait_s": wait,
                    "attempt": trace.attempts, "problem": str(failure)[:200],
                })  # fmt: skip
            trace.waited += wait
            await asyncio.sleep(wait)

    async def _send(
        self, question: Question, dialect: Dialect, guessed: int, trace: _Trace
    ) -> Completion:
        outgoing = self._outgoing(question, dialect)
        tokens_in = self._tokens.prompt(guessed)
        asked = time.monotonic()
        start = await self._limits.start(
            tokens_in + self._tokens.answer(question.purpose, question.longest)
        )
        begun = time.monotonic()
        trace.waited += begun - asked
        self._sent.add(_this_task())
        try:
            completion = self._checked(await self._transport.send(outgoing), guessed)
        except SendFailed as failure:
            self._sent.discard(_this_task())
            self._limits.correct(start, tokens_in)
            raise self._redacted(failure) from None
        finally:
            trace.latency += time.monotonic() - begun
        self._limits.correct(start, completion.tokens_in + completion.tokens_out)
        return completion

    def _outgoing(self, question: Question, dialect: Dialect) -> Outgoing:
        messages = question.messages
        if dialect is Dialect.PROMPT:
            messages = schema_prompt(messages, schema_of(question.answer))
        return Outgoing(
            key=question.key,
            model=self._config.model,
            messages=messages,
            parameters=question.parameters,
            response_format=response_format(question.answer, dialect, question.choices),
        )

    def _dialect(self, question: Question) -> Dialect:
        if self._config.schema_mode == "never":
            return Dialect.PROMPT
        richest = Dialect.TAILORED if question.choices else Dialect.BOUNDED
        return self._dialects.get(question.purpose, richest)

    def _lower_dialect(self, question: Question, used: Dialect, failure: SendFailed) -> bool:
        """Whether the endpoint rejected the schema itself, so that the next dialect is due."""
        rejected = failure.status in {400, 422} and complains_about_format(str(failure))
        if self._config.schema_mode != "auto" or used is Dialect.PROMPT or not rejected:
            return False
        if self._dialect(question) is used:
            self._dialects[question.purpose] = Dialect(used + 1)
            self.counts["schema_fallbacks"] += 1
            _LOG.warning("the endpoint rejects the schema", extra={
                "purpose": question.purpose, "next": Dialect(used + 1).name.lower(),
                "problem": str(failure)[:200],
            })  # fmt: skip
        return True

    def _checked(self, completion: Completion, guessed: int) -> Completion:
        if not completion.billed:
            self.counts["answers_without_usage"] += 1
            answer = guess([{"content": completion.text}])
            completion = replace(completion, tokens_in=guessed, tokens_out=answer)
        text, refusal = self._blanked(completion.text), self._blanked(completion.refusal)
        return replace(completion, text=text, refusal=refusal)

    async def _store(
        self,
        question: Question,
        trace: _Trace,
        completion: Completion | None,
        verdict: Verdict,
        fresh: bool,
    ) -> Spending:
        used = completion or Completion(text="")
        if completion is not None and not self._price.known:
            self.counts["answers_without_price"] += 1
        call = Call(
            key=question.key,
            purpose=question.purpose,
            subject=question.subject,
            model=self._config.model,
            prompt_version=question.prompt_version,
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

    def _error(self, question: Question, trace: _Trace, failure: SendFailed) -> LLMError:
        seen = (
            f"{self._config.model} gave no answer about {question.subject} ({question.purpose})"
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
