"""Executing one request: cache, single flight per key, budget, rate limits, attempts, ledger.

An attempt reserves the most it can cost, waits for the rate limits, takes the lease on its answer,
and sends. What it cost is stored before the next one begins, so that a kill loses at most the
attempts under way, and these are counted by their leases.
"""

import asyncio
import logging
import math
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pydantic import SecretStr

from recsys_core.concurrency import stopping
from recsys_core.errors import LLMError, LLMRefused, LLMStopped, LLMUnavailable
from recsys_core.http.backoff import Backoff
from recsys_core.llm.accounting.budget import Budget, Spending
from recsys_core.llm.accounting.ledger import Call, Verdict
from recsys_core.llm.accounting.prices import Price
from recsys_core.llm.accounting.tokens import TokenEstimator, believable, guess
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.execution.dialects import Dialects
from recsys_core.llm.execution.rate_limits import Limits
from recsys_core.llm.request.chat_request import AnyChat, reasons
from recsys_core.llm.request.json_schema import Dialect
from recsys_core.llm.store.answers import AnswerCache, Record, Totals
from recsys_core.llm.store.leases import Claim, Outcome, OverBudget
from recsys_core.llm.transport.base import MALFORMED, Completion, SendFailed, Transport
from recsys_core.redaction import blanked, known_blanked

_LOG: Final = logging.getLogger(__name__)
FIRST_WAIT_S: Final = 1.0
"""Wait before the second attempt."""
_HELD_S: Final = 0.1
"""Seconds between two looks at an answer that another process is asking for."""
_TELL_S: Final = 30.0
"""Seconds of waiting for another run after which it is told."""
_MALFORMED_ATTEMPTS: Final = 3
"""Attempts after which a request whose response can never be read is set aside."""
_STOP_S: Final = 3.0
"""Seconds that requests under way get when the process was told to end."""
_SHOWN: Final = 500
"""Characters of an endpoint's message that are told."""


class ItemRefused(LLMRefused):
    """The endpoint rejected this one request; the others may pass."""


@dataclass
class _Trace:
    """What happened to a call on its way.

    Attributes:
        tries: requests sent in all.
        attempts: those that no ledger row counts yet; latency and waits are theirs.
    """

    started: float
    tries: int = 0
    attempts: int = 0
    malformed: int = 0
    latency: float = 0.0
    waited: float = 0.0

    def begin_row(self) -> None:
        """What follows belongs to the next ledger row."""
        self.attempts, self.latency, self.waited, self.started = 0, 0.0, 0.0, time.time()


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
        self.run = run
        self._secrets = [secret.get_secret_value()] if secret else []
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
        self._told = -math.inf
        self._refusal: LLMError | None = None
        cache.open_session(self.session, self.run)

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
        """Drop the calls that have not been sent; wait for the others, which are paid for.

        A process that was told to end waits for seconds only; what is then still under way stands
        in the ledger with the most that it can have cost.
        """
        self._closing = True
        kept = set() if self._transport.durable else self._sent
        flights = set(self._flights.values())
        for flight in flights - kept:
            flight.cancel()
        if kept:
            _LOG.info("waiting for answers under way", extra={"calls": len(kept)})
        waiting = asyncio.gather(*flights, return_exceptions=True)
        while not waiting.done() and not stopping.is_set():
            await asyncio.wait([waiting], timeout=_HELD_S)
        if not waiting.done():
            await asyncio.wait([waiting], timeout=_STOP_S)
            for flight in flights:
                flight.cancel()
        await waiting
        await self._transport.close()
        self._cache.close_session(self.session)

    def _landed(self, key: str, flight: asyncio.Task[tuple[Completion, bool]]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, even if every asker is gone

    async def _fly(self, chat: AnyChat, fresh: bool) -> tuple[Completion, bool]:
        if not fresh and (cached := await self._cache.get(chat.key)) is not None:
            return self._from_cache(chat, cached)
        await self._transport.prepare()
        trace, held = _Trace(time.time()), 0.0
        while True:
            asked = time.monotonic()
            async with self._limits.in_flight():
                trace.waited += time.monotonic() - asked
                bought = await self._buy(chat, trace, fresh)
            if bought is not None:
                return bought
            # Another process asks for it: its answer will do, also where a new one was wanted.
            self.counts["waits_for_other_runs"] += 1
            fresh = False
            held = held or time.monotonic()
            await self._tell_wait(chat, held)
            await asyncio.sleep(_HELD_S)
            if (cached := await self._cache.get(chat.key)) is not None:
                return self._from_cache(chat, cached)

    async def _tell_wait(self, chat: AnyChat, begun: float) -> None:
        """Say for whom this run waits, and for how long: one line a minute, not one a request."""
        now = time.monotonic()
        if now - begun < _TELL_S or now - self._told < 2 * _TELL_S:
            return
        self._told = now
        holder = await asyncio.to_thread(self._cache.holder, chat.key)
        _LOG.warning(
            f"waiting for {holder.told() if holder else 'another run'}, which asks the same:"
            f" {now - begun:.0f} s so far ({chat.purpose} of {chat.subject}); this run goes on when"
            " the answer is there, or that process is gone"
        )

    async def _buy(
        self, chat: AnyChat, trace: _Trace, fresh: bool
    ) -> tuple[Completion, bool] | None:
        """The answer and whether it came from the cache; None while another process asks for it."""
        while True:
            dialect = self._dialects.of(chat)
            sent = trace.tries
            try:
                outcome = await self._attempt(chat, dialect, trace, fresh)
            except BaseException:
                if trace.tries == sent:
                    await self._never_sent_again(chat, trace)
                raise
            if not isinstance(outcome, SendFailed):
                return outcome
            if self._dialects.lower(chat, dialect, outcome):
                continue
            wait = self._wait(trace, outcome)
            if wait is None:
                raise await self._given_up(chat, trace, outcome)
            self.counts["retries"] += 1
            _LOG.warning("attempt failed", extra={
                "subject": chat.subject, "purpose": chat.purpose, "wait_s": wait,
                "attempt": trace.tries, "problem": str(outcome)[:200],
            })  # fmt: skip
            trace.waited += wait
            try:
                await asyncio.sleep(wait)
            except asyncio.CancelledError:
                await self._never_sent_again(chat, trace)
                raise

    async def _never_sent_again(self, chat: AnyChat, trace: _Trace) -> None:
        """Write down attempts that failed unbilled, where the next one is not sent any more."""
        if trace.attempts:
            await self._put(chat, trace, Completion(text=""), None, "unavailable", False)
            trace.begin_row()

    async def _attempt(
        self, chat: AnyChat, dialect: Dialect, trace: _Trace, fresh: bool
    ) -> tuple[Completion, bool] | SendFailed | None:
        claim = self._claim(chat, fresh)
        await self.budget.reserve(claim.worst)
        spent: Spending | None = None
        try:
            asked = time.monotonic()
            start = await self._limits.start(
                claim.tokens_in + self._tokens.answer(chat.purpose, chat.max_answer_tokens)
            )
            self._check_open()
            taken = await self._taken(claim)
            trace.waited += time.monotonic() - asked
            if taken != "granted":
                self._limits.correct(start, 0, requests=0)
                if isinstance(taken, Completion):
                    return self._from_cache(chat, taken)
                if isinstance(taken, OverBudget):
                    spent = taken.spent
                    if not taken.reserved.tokens:
                        raise self.budget.exceeded(claim.worst)
                return None
            outcome = await self._send(chat, dialect, trace, claim)
            counted = claim.tokens_in
            if isinstance(outcome, Completion):
                counted = outcome.tokens_in + outcome.tokens_out
            self._limits.correct(start, counted)
            outcome, spent = await self._stored(chat, trace, claim, outcome)
            return outcome if isinstance(outcome, SendFailed) else (outcome, False)
        finally:
            self._sent.discard(_this_task())
            self.budget.release(claim.worst, spent)

    def _claim(self, chat: AnyChat, fresh: bool) -> Claim:
        tokens_in = self._tokens.prompt(chat.prompt_tokens)
        return Claim(
            key=chat.key, session=self.session, run=self.run, purpose=chat.purpose,
            subject=chat.subject, model=chat.model, prompt_version=chat.prompt_version,
            tokens_in=tokens_in, tokens_out=chat.max_answer_tokens,
            cost=self._price.dollars(tokens_in, chat.max_answer_tokens),
            ceiling=self.budget.ceiling, durable=self._transport.durable, fresh=fresh,
        )  # fmt: skip

    async def _taken(self, claim: Claim) -> Completion | Outcome:
        try:
            return await self._cache.claim(claim)
        except asyncio.CancelledError:
            self._cache.drop(claim.key, self.session)  # it was not sent, and costs nothing
            raise

    def _check_open(self) -> None:
        """Refuse to send where nothing further may be sent."""
        if self._refusal is not None:
            raise self._refusal
        if stopping.is_set():
            raise LLMStopped(
                "The process was told to end: no further request is sent.",
                fix="run the same command again; every answer so far is kept.",
            )

    async def _send(
        self, chat: AnyChat, dialect: Dialect, trace: _Trace, claim: Claim
    ) -> Completion | SendFailed:
        begun = time.monotonic()
        trace.tries, trace.attempts = trace.tries + 1, trace.attempts + 1
        self._sent.add(_this_task())
        try:
            completion = await self._transport.send(chat.payload(dialect))
        except SendFailed as failure:
            return failure.again(blanked(str(failure), self._secrets)[:_SHOWN])
        except asyncio.CancelledError:
            if not self._transport.durable:
                raise
            self._cache.drop(chat.key, self.session)  # the batch goes on and is found again
            raise
        finally:
            trace.latency += time.monotonic() - begun
        return self._checked(completion, chat, claim)

    def _checked(self, completion: Completion, chat: AnyChat, claim: Claim) -> Completion:
        """Secrets blanked, and tokens estimated from the texts where no usage came.

        Nor is one believed that counts fewer tokens than such texts can have.
        """
        told_in, told_out = completion.tokens_in, completion.tokens_out
        written = guess([{"content": completion.text}]) if completion.text else 0
        read = believable(told_in, *(message["content"] for message in chat.messages))
        believed = read and believable(told_out, completion.text)
        if completion.billed and believed:
            self._tokens.learn(chat.purpose, chat.prompt_tokens, told_in, told_out)
        else:
            self.counts["answers_without_usage"] += 1
            hidden = completion.cut or reasons(self._config)  # more than the text was written
            answer = chat.max_answer_tokens if hidden else written
            tokens_in = max(claim.tokens_in, told_in)
            answer = max(answer, told_out, told_in + told_out - tokens_in)
            completion = replace(completion, tokens_in=tokens_in, tokens_out=answer)
        text = known_blanked(completion.text, self._secrets)
        refusal = known_blanked(completion.refusal, self._secrets)
        return replace(completion, text=text, refusal=refusal)

    async def _stored(
        self, chat: AnyChat, trace: _Trace, claim: Claim, outcome: Completion | SendFailed
    ) -> tuple[Completion | SendFailed, Spending | None]:
        """Store what an attempt bought, or may have bought; the scope's spending after it."""
        if isinstance(outcome, Completion):
            verdict = chat.verdict(outcome)
            return outcome, await self._put(chat, trace, outcome, outcome, verdict, claim.fresh)
        if not outcome.billed:
            self._cache.drop(chat.key, self.session)
            return outcome, None
        lost = Completion(text="", tokens_in=claim.tokens_in, tokens_out=claim.tokens_out)
        trace.malformed += outcome.malformed
        if outcome.malformed and self._wait(trace, outcome) is None:
            aside = replace(lost, refusal=f"{MALFORMED}{outcome}")
            self.counts["set_aside"] += 1
            _LOG.warning("a response can never be read: the request is set aside", extra={
                "subject": chat.subject, "purpose": chat.purpose, "problem": str(outcome)[:200],
                "decides": "llm.on_invalid, llm.retry_failed",
            })  # fmt: skip
            return aside, await self._put(chat, trace, lost, aside, "failed", claim.fresh)
        spent = await self._put(chat, trace, lost, None, "lost", claim.fresh)
        trace.begin_row()
        return outcome, spent

    def _wait(self, trace: _Trace, failure: SendFailed) -> float | None:
        """Seconds until the next attempt; None where there is none."""
        poisoned = failure.malformed and trace.malformed >= _MALFORMED_ATTEMPTS
        if poisoned or self._closing or not failure.retryable:
            return None
        return self._backoff.wait(trace.tries, failure.retry_after, self._random)

    async def _given_up(self, chat: AnyChat, trace: _Trace, failure: SendFailed) -> LLMError:
        if trace.attempts:
            verdict: Verdict = "unavailable" if failure.retryable else "refused"
            await self._put(chat, trace, Completion(text=""), None, verdict, False)
        error = self._error(chat, trace, failure)
        if failure.fatal:
            self._refusal = error
        return error

    async def _put(
        self,
        chat: AnyChat,
        trace: _Trace,
        used: Completion,
        answer: Completion | None,
        verdict: Verdict,
        fresh: bool,
    ) -> Spending:
        if used.tokens_in and not self._price.known:
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
        totals: Totals = await self._cache.put(
            Record(call=call, run=self.run, session=self.session, completion=answer, replace=fresh)
        )
        return totals.of(self.budget.ceiling.scope)

    def _from_cache(self, chat: AnyChat, completion: Completion) -> tuple[Completion, bool]:
        self.counts["cached_answers"] += 1
        self.found.add(chat.key)
        return completion, True

    def _error(self, chat: AnyChat, trace: _Trace, failure: SendFailed) -> LLMError:
        seen = (
            f"{self._config.model} gave no answer about {chat.subject} ({chat.purpose})"
            f" in {trace.tries} attempt(s): {failure}"
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


def _this_task() -> "asyncio.Task[object]":
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called from coroutines only
    return task
