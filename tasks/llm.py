"""How a step asks a language model: one provider per step, its ledger kept with the artifact."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import LLM_CALLS
from recsys_core.config import LLMConfig
from recsys_core.llm.rules import RulesProvider
from recsys_core.llm.types import Provider, Usage

R = TypeVar("R")

LEDGER = "llm_calls"
"""Name of the ledger's table in every artifact that asked a model."""


def ask(out: ArtifactWriter, config: LLMConfig, work: Callable[[Provider], Awaitable[R]]) -> R:
    """Run `work` with the configured provider; write its ledger and counts into `out`."""

    async def run() -> tuple[R, Usage]:
        provider = RulesProvider()
        return await work(provider), provider.usage()

    result, usage = asyncio.run(run())
    out.table(LEDGER, usage.calls, LLM_CALLS)
    out.fact("answers", usage.answers)
    for name, count in usage.facts.items():
        out.fact(name, count)
    return result
