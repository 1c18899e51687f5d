"""Every provider and every transport of the tables opens; unknown names are errors at start."""

import asyncio
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from recsys_core.errors import ConfigError
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import PROVIDERS, TRANSPORTS, Kind, open_provider, transport_name
from recsys_core.llm.providers.base import Reply, Usage
from tests.fake_openai import FakeOpenAI
from tests.recsys_core.llm.llm_world import Echo, echo

Make = Callable[..., LLMConfig]


@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_provider_answers_with_a_checked_answer_and_counts_it(
    kind: Kind, server: FakeOpenAI, config: Make
) -> None:
    async def main() -> tuple[Reply[Echo], Usage]:
        async with open_provider(config(), kind=kind) as provider:
            return await provider.ask(echo("a")), provider.usage()

    reply, usage = asyncio.run(main())
    assert [row.id for row in reply.answer.rows] == ["text"]
    assert reply.status == "ok"
    assert usage.calls.height == len(server.requests()) == (1 if kind == "model" else 0)
    assert usage.answers == ({} if kind == "dry_run" else {"echo": 1})


def test_the_configuration_chooses_the_transport(config: Make) -> None:
    chosen = {
        transport_name(config()), transport_name(config(model="ollama/gemma3")),
        transport_name(config(transport="litellm")), transport_name(config(batch=True)),
    }  # fmt: skip
    assert chosen == set(TRANSPORTS)


def test_the_former_name_of_a_transport_is_refused_with_the_new_one() -> None:
    with pytest.raises(ValidationError, match="openai_http"):
        LLMConfig.model_validate({"transport": "direct"})


@pytest.mark.parametrize("model", ["rule", "opnai/gpt-4.1-mini"])
def test_a_model_of_no_known_provider_is_refused_before_the_first_request(
    model: str, server: FakeOpenAI, config: Make
) -> None:
    async def main() -> None:
        async with open_provider(config(model=model)) as provider:
            await provider.ask(echo("a"))

    with pytest.raises(ConfigError, match="knows no provider"):
        asyncio.run(main())
    assert server.requests() == []
