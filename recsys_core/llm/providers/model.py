"""The provider that asks a language model: one call, at most one repair, then the rule."""

import asyncio
import logging
import sys
from collections import Counter
from typing import Final

from recsys_core.errors import LLMDown, LLMStopped, LLMUnavailable
from recsys_core.llm.accounting.ledger import ledger
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.execution.executor import Executor, ItemRefused
from recsys_core.llm.providers.base import A, Reply, Request, Status, Usage, V
from recsys_core.llm.providers.rules import RULES, RULES_VERSION
from recsys_core.llm.request.chat_request import ChatRequest, build_chat_request, repair_request
from recsys_core.llm.request.parsing import Declined, InvalidAnswer
from recsys_core.llm.store.answers import AnswerCache

_LOG: Final = logging.getLogger(__name__)
_AHEAD: Final = 2
"""Requests under way per call in flight: the next one is ready when a place is free."""
_FEW: Final = 50
"""Answers below which the share of failures is taken of this number instead: with a share of
0.05, two failures among the first answers are no verdict on the model yet, three are."""


class ModelProvider:
    """Answers by a language model, each answer validated; made by `open_provider`."""

    def __init__(
        self,
        config: LLMConfig,
        *,
        executor: Executor,
        cache: AnswerCache,
        place: str | None = None,
    ) -> None:
        self.model, self._place = config.model, place
        self._config, self._executor, self._cache = config, executor, cache
        # Of thousands asked at once, none shall be sent only after the prompts of all are written.
        # A batch file wants all of them.
        ahead = sys.maxsize if config.batch else _AHEAD * config.max_in_flight
        self._ahead = asyncio.Semaphore(ahead)
        self._answers: Counter[str] = Counter()
        self._facts: Counter[str] = Counter()

    async def ask(self, request: Request[V, A]) -> Reply[A]:
        """Answer one request by the model, or by the rule where the configuration says so.

        Raises:
            LLMDown: the endpoint did not answer in all attempts.
            LLMRefused: the endpoint rejected the key or the model.
            BudgetExceeded: the ceiling is reached.
            LLMStopped: the answer is not valid and the configuration says to stop, or too many are
                not. All of these end the run.
        """
        async with self._ahead:
            return await self._ask(request)

    async def _ask(self, request: Request[V, A]) -> Reply[A]:
        chat = build_chat_request(request, self._config)
        try:
            reply = await self._asked(chat)
        except (InvalidAnswer, ItemRefused) as error:
            reply = self._fallen_back(request, str(error))
        except LLMUnavailable as error:
            if self._config.on_unavailable == "stop":
                raise LLMDown(error.seen, expected=error.expected, fix=error.fix) from None
            reply = self._fallen_back(request, str(error))
        self._answers[request.purpose.name] += 1
        return reply

    def usage(self) -> Usage:
        """The ledger of this provider's calls, answers per purpose, and what else was counted.

        The ledger holds the calls of earlier runs, too, that did not live to report the answers
        which this one rests on.
        """
        spent = self._cache.totals(self._executor.run)
        facts = {"run_dollars": spent.run.dollars, "run_tokens": float(spent.run.tokens)}
        if self._config.budget_scope == "root":
            facts |= {"root_dollars": spent.root.dollars, "root_tokens": float(spent.root.tokens)}
        counts = self._executor.counts + self._facts
        return Usage(
            calls=ledger(
                self._cache.report(self._executor.session, self._executor.found, self._place)
            ),
            answers=dict(self._answers),
            facts=facts | {name: float(count) for name, count in sorted(counts.items())},
        )

    async def _asked(self, chat: ChatRequest[V, A]) -> Reply[A]:
        try:
            return await self._exchange(chat, fresh=False)
        except _Replayed as replayed:
            if not self._config.retry_failed:
                raise InvalidAnswer(str(replayed)) from None
            return await self._exchange(chat, fresh=True)

    async def _exchange(self, chat: ChatRequest[V, A], *, fresh: bool) -> Reply[A]:
        """The call and, if need be, the repair.

        Raises:
            InvalidAnswer: no valid answer.
            _Replayed: none, and all of it came from the cache.
        """
        first, cached = await self._executor.execute(chat, fresh=fresh)
        try:
            return self._reply(chat, chat.read(first))
        except Declined as refusal:
            raise _failed(str(refusal), cached) from None
        except InvalidAnswer as error:
            problem = str(error)
        self._facts["repairs"] += 1
        repair = repair_request(chat, first.text, problem)
        second, also_cached = await self._executor.execute(repair, fresh=fresh)
        try:
            return self._reply(repair, repair.read(second))
        except InvalidAnswer as error:
            raise _failed(str(error), cached and also_cached) from None

    def _reply(self, chat: ChatRequest[V, A], answer: A) -> Reply[A]:
        status: Status = "repaired" if chat.repair else "ok"
        return Reply(
            answer=answer, model=self.model, prompt_version=chat.prompt_version, status=status
        )

    def _fallen_back(self, request: Request[V, A], problem: str) -> Reply[A]:
        self._facts["failed_answers"] += 1
        _LOG.warning("no valid answer", extra={
            "subject": request.subject, "purpose": request.purpose.name, "problem": problem[:300],
        })  # fmt: skip
        if self._config.on_invalid == "stop" or self._too_many():
            raise self._stopped(request, problem)
        answer = request.purpose.rule(request.variables)
        request.purpose.check(request.variables, answer)
        return Reply(answer=answer, model=RULES, prompt_version=RULES_VERSION, status="failed")

    def _too_many(self) -> bool:
        answered = max(self._answers.total() + 1, _FEW)
        return self._facts["failed_answers"] > self._config.max_failed_share * answered

    def _stopped(self, request: Request[V, A], problem: str) -> LLMStopped:
        failed, answered = self._facts["failed_answers"], self._answers.total() + 1
        return LLMStopped(
            f"{self.model} gave no valid answer about {request.subject} ({request.purpose.name}):"
            f" {problem} ({failed} of {answered} answers failed.)",
            expected="answers that fit the schema and the question after at most one repair; with"
            " llm.on_invalid = fallback a share of failures up to llm.max_failed_share.",
            fix="try a larger model, raise llm.max_failed_share, or set llm.retry_failed to ask"
            " again for what failed; every valid answer so far is kept.",
        )


class _Replayed(Exception):
    """The same invalid answers as in an earlier run, from the cache."""


def _failed(problem: str, cached: bool) -> Exception:
    return _Replayed(problem) if cached else InvalidAnswer(problem)
