"""The provider that needs no model: every purpose brings a rule, this one applies it."""

from collections import Counter
from typing import Final

import polars as pl

from recsys_core.columns import LLM_CALLS
from recsys_core.llm.providers.base import A, Reply, Request, Usage, V

RULES: Final = "rules"
RULES_VERSION: Final = "rules-1"
"""Part of every content key; raise it when a rule's output changes."""


class RulesProvider:
    """Answers by rules, deterministically, without a call to any model."""

    model = RULES

    def __init__(self) -> None:
        self._answers: Counter[str] = Counter()

    async def ask(self, request: Request[V, A]) -> Reply[A]:
        """Answer with the rule of the request's purpose, checked like a model's answer."""
        answer = request.purpose.rule(request.variables)
        request.purpose.check(request.variables, answer)
        self._answers[request.purpose.name] += 1
        return Reply(answer=answer, model=self.model, prompt_version=RULES_VERSION)

    def usage(self) -> Usage:
        """Answers per purpose; the ledger stays empty."""
        return Usage(calls=pl.DataFrame(schema=dict(LLM_CALLS)), answers=dict(self._answers))
