"""The base class of all rerank strategies, and the guarantee that lists stay complete."""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from recsys_core.errors import LLMError, LLMStopped
from recsys_core.llm.providers.base import A, Provider, Purpose, Request, V
from recsys_core.prompt_context.models import UserContext

Verdicts = Mapping[str, float | None]
"""Item id -> score, higher is better, on any scale; None (or absence) where there is none."""


@dataclass(kw_only=True)
class Judged:
    """What a strategy brings back for one user.

    Attributes:
        verdicts: as the model gave them; `complete` makes them safe.
        invented: ids of answers that were never asked for.
        failed_requests: requests that ended in an error.
        models: who answered, with the number of answers.
        agreement: split-half Kendall's tau of repeated rankings; None where nothing is repeated.
    """

    verdicts: Verdicts
    invented: int = 0
    failed_requests: int = 0
    models: Counter[str] = field(default_factory=Counter)
    agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class Strategy(ABC):
    """A way of turning a model's judgements into a score per candidate.

    A subclass is a frozen dataclass whose fields are fields of `RerankConfig` of the same name;
    `registry.STRATEGIES` lists it.
    """

    name: ClassVar[str]
    """Name in the configuration and in the STRATEGY column."""
    asks: ClassVar[str]
    """What it asks of the model, in a few words, for the help of `rerank.strategy` and the docs."""
    purpose: ClassVar[Purpose[Any, Any]]
    """Its prompt, and the purpose of its calls in the ledger."""
    exact: ClassVar[bool] = True
    """Whether a consistent model's order is found whatever the graph's order is."""

    @abstractmethod
    def width(self, candidates: int) -> int:
        """Requests that it makes at a time for one user with so many candidates, about."""

    @abstractmethod
    async def judge(
        self, context: UserContext, provider: Provider, rng: np.random.Generator
    ) -> Judged:
        """Score the candidates of one user; single failed requests are survived.

        Args:
            context: the user and the candidates, in the graph's order.
            provider: who answers.
            rng: decides in which order candidates are shown; seeded per user.

        Raises:
            LLMError: nothing can be said about this user.
            LLMStopped: no further request may be made at all.
        """


@dataclass(frozen=True, kw_only=True)
class Completed:
    """Scores aligned with a user's candidates, whatever the model did.

    Attributes:
        scores: one per candidate, in the graph's order; None where there is no finite one.
        invented: ids that were never asked for; they are dropped.
        failed_requests: requests that ended in an error.
        models: who answered, with the number of answers.
        agreement: split-half Kendall's tau of repeated rankings; None where nothing is repeated.
    """

    scores: tuple[float | None, ...]
    invented: int
    failed_requests: int
    models: Counter[str]
    agreement: float | None

    @property
    def missing(self) -> int:
        """Candidates without a score; they keep the graph's opinion."""
        return sum(score is None for score in self.scores)


def complete(context: UserContext, judged: Judged) -> Completed:
    """One entry per candidate from a strategy's verdicts: none lost, none invented, none twice."""
    known = {candidate.id for candidate in context.candidates}
    return Completed(
        scores=tuple(_finite(judged.verdicts.get(one.id)) for one in context.candidates),
        invented=judged.invented + len(judged.verdicts.keys() - known),
        failed_requests=judged.failed_requests,
        models=judged.models,
        agreement=judged.agreement,
    )


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None


async def judge_safely(
    strategy: Strategy, context: UserContext, provider: Provider, rng: np.random.Generator
) -> Completed:
    """Judge one user; a failure leaves the graph's order and harms nobody else.

    Raises:
        LLMStopped: the run ends (budget, key, endpoint, or what the configuration says of invalid
            answers); every further user would fail alike.
    """
    try:
        judged = await strategy.judge(context, provider, rng)
    except LLMStopped:
        raise
    except LLMError:
        judged = Judged(verdicts={}, failed_requests=1)
    return complete(context, judged)


async def ask(provider: Provider, request: Request[V, A], judged: Judged) -> A | None:
    """The answer to one request, or None, counted in `judged`, when there is none.

    Where a provider puts the rule's answer in the place of one that was not valid, there is none
    either: the graph's order is kept, and judgements of two kinds are never mixed in one list.

    Raises:
        LLMStopped: the run ends.
    """
    try:
        reply = await provider.ask(request)
    except LLMStopped:
        raise
    except LLMError:
        judged.failed_requests += 1
        return None
    if reply.status == "failed":
        judged.failed_requests += 1
        return None
    judged.models[reply.model] += 1
    return reply.answer
