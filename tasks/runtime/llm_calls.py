"""How a step asks a language model: one provider per step, its ledger kept with the artifact."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

from prefect.blocks.system import Secret
from pydantic import BaseModel, SecretStr

from recsys_core.artifacts import ArtifactWriter, content_hash
from recsys_core.columns import LLM_CALLS
from recsys_core.errors import ConfigError
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.llm.providers.base import Provider, Purpose, Usage
from recsys_core.llm.providers.rules import RULES_VERSION
from recsys_core.llm.request.json_schema import schema_of
from recsys_core.llm.request.templates import load_prompt
from tasks.runtime.runs.run_log import current_run_id

R = TypeVar("R")

LEDGER: Final = "llm_calls"
"""Name of the ledger's table in every artifact that asked a model."""


def ask(out: ArtifactWriter, config: LLMConfig, work: Callable[[Provider], Awaitable[R]]) -> R:
    """Run `work` with the configured provider; write its ledger and counts into `out`."""
    key = _key(config)

    async def run() -> tuple[R, Usage]:
        opened = open_provider(
            config, root=out.root, run=current_run_id(), api_key=key, place=out.uri
        )
        async with opened as provider:
            return await work(provider), provider.usage()

    result, usage = asyncio.run(run())
    out.table(LEDGER, usage.calls, LLM_CALLS, in_content=False)
    out.fact("answers", usage.answers)
    for name, count in usage.facts.items():
        out.fact(name, count)
    return result


def prompts_in_use(config: LLMConfig, *purposes: Purpose[Any, Any]) -> dict[str, object]:
    """What answers rest on beside their questions, for the content key of a step that asks.

    Args:
        config: who answers.
        purposes: what the step asks for.

    Returns:
        The version of the rules, which also stand in for answers that are not valid; and, where a
        model is asked, the version and the content of every prompt, and the JSON schema of its
        answers.
    """
    rests_on: dict[str, object] = {"rules": RULES_VERSION}
    if config.uses_model:
        prompts = {one.name: load_prompt(one.name) for one in purposes}
        rests_on["prompts"] = {
            name: f"{prompt.version} {content_hash(prompt)[:16]}"
            for name, prompt in prompts.items()
        }
        answers: dict[str, type[BaseModel]] = {one.name: one.answer for one in purposes}
        rests_on["schemas"] = {
            name: content_hash(schema_of(answer))[:16] for name, answer in answers.items()
        }
    return rests_on


def _key(config: LLMConfig) -> SecretStr | None:
    if config.api_key_block is None:
        return None
    try:
        block = cast(Secret[str], Secret.load(config.api_key_block))
    except ValueError as error:
        raise ConfigError(
            f"llm.api_key_block names {config.api_key_block!r}, which cannot be read: {error}",
            expected="a Prefect block of the type Secret on this server.",
            fix=f'make it in the UI under Blocks, or by: python -c "from prefect.blocks.system'
            f" import Secret; Secret(value=input()).save('{config.api_key_block}')\"",
        ) from None
    return SecretStr(str(block.get()))
