"""The provider that asks a language model: one question, at most one repair, then the rule."""

import asyncio
import logging
import sys
from collections import Counter
from typing import Final

from recsys_core.errors import LLMDown, LLMStopped, LLMUnavailable
from recsys_core.llm.accounting.ledger import Verdict, ledger
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.execution.executor import Caller, ItemRefused
from recsys_core.llm.providers.base import A, Reply, Request, Status, Usage, V
from recsys_core.llm.providers.rules import RULES, RULES_VERSION
from recsys_core.llm.request.chat_request import Question, ask_for, ask_repair
from recsys_core.llm.request.parsing import InvalidAnswer, parse
from recsys_core.llm.store.answers import AnswerCache
from recsys_core.llm.transport.base import Completion

_LOG: Final = logging.getLogger(__name__)
_AHEAD: Final = 2
"""Requests under way per call in flight: the next one is ready when a place is free."""
_FEW: Final = 50
"""Answers below which the share of failures is taken of this number instead: with a share of
0.05, two failures among the first answers are no verdict on the model yet, three are."""


class LiteLLMProvider:
    """Answers by a language model, each answer validated; made by `open_provider`."""

    def __init__(self, config: LLMConfig, *, caller: Caller, cache: AnswerCache) -> None:
        self.model = config.model
        self._config, self._caller, self._cache = config, caller, cache
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
        question = ask_for(request, self._config)
        try:
            reply = await self._asked(request, question)
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
        spent = self._caller.budget.spent
        facts = {"run_dollars": spent.dollars, "run_tokens": float(spent.tokens)}
        counts = self._caller.counts + self._facts
        return Usage(
            calls=ledger(self._cache.report(self._caller.session, self._caller.found)),
            answers=dict(self._answers),
            facts=facts | {name: float(count) for name, count in sorted(counts.items())},
        )

    async def _asked(self, request: Request[V, A], question: Question) -> Reply[A]:
        try:
            return await self._exchange(request, question, fresh=False)
        except _Replayed as replayed:
            if not self._config.retry_failed:
                raise InvalidAnswer(str(replayed)) from None
            return await self._exchange(request, question, fresh=True)

    async def _exchange(
        self, request: Request[V, A], question: Question, *, fresh: bool
    ) -> Reply[A]:
        """The question and, if need be, the repair.

        Raises:
            InvalidAnswer: no valid answer.
            _Replayed: none, and all of it came from the cache.
        """
        first, cached = await self._complete(request, question, fresh)
        try:
            return self._reply(request, question, first, "ok")
        except _Refused as refusal:
            raise _failed(str(refusal), cached) from None
        except InvalidAnswer as error:
            problem = str(error)
        self._facts["repairs"] += 1
        repair = ask_repair(question, first.text, problem, self._config)
        second, also_cached = await self._complete(request, repair, fresh)
        try:
            return self._reply(request, question, second, "repaired")
        except InvalidAnswer as error:
            raise _failed(str(error), cached and also_cached) from None

    async def _complete(
        self, request: Request[V, A], question: Question, fresh: bool
    ) -> tuple[Completion, bool]:
        def judge(completion: Completion) -> Verdict:
            try:
                _read(request, completion)
            except _Refused:
                return "refused"
            except InvalidAnswer:
                return "failed" if question.repair else "invalid"
            return "repaired" if question.repair else "ok"

        return await self._caller.complete(question, judge, fresh=fresh)

    def _reply(
        self, request: Request[V, A], question: Question, completion: Completion, status: Status
    ) -> Reply[A]:
        return Reply(
            answer=_read(request, completion),
            model=self.model,
            prompt_version=question.prompt_version,
            status=status,
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


class _Refused(InvalidAnswer):
    """The model declined; asking it to repair a refusal is of no use."""


class _Replayed(Exception):
    """The same invalid answers as in an earlier run, from the cache."""


def _failed(problem: str, cached: bool) -> Exception:
    return _Replayed(problem) if cached else InvalidAnswer(problem)


def _read(request: Request[V, A], completion: Completion) -> A:
    if completion.refusal:
        raise _Refused(f"the model declined: {completion.refusal[:300]}")
    try:
        return parse(completion.text, request.purpose, request.variables)
    except InvalidAnswer as error:
        if completion.cut:
            raise InvalidAnswer(f"it was cut off, being too long; be shorter. {error}") from None
        raise
