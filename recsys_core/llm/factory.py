"""Opening a provider: `PROVIDERS` by kind, `TRANSPORTS` by name, chosen by the configuration."""

import os
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import SecretStr

from recsys_core.errors import ConfigError
from recsys_core.llm.accounting.budget import Budget, Ceiling, shared_budget
from recsys_core.llm.accounting.prices import Price, price_of
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.execution.executor import Executor
from recsys_core.llm.execution.rate_limits import Limits, shared_limits
from recsys_core.llm.providers.base import Provider
from recsys_core.llm.providers.dry_run import DryRunProvider
from recsys_core.llm.providers.model import ModelProvider
from recsys_core.llm.providers.rules import RulesProvider
from recsys_core.llm.store.answers import AnswerCache
from recsys_core.llm.store.database import cache_url
from recsys_core.llm.transport.base import Transport
from recsys_core.llm.transport.openai_http import OPENAI, PREFIX, OpenAIHttpTransport

_UNLIMITED: Final = 10**9
_HEADER: Final = re.compile(r"[!-~]+")
"""What an HTTP header can carry."""

Kind = Literal["rules", "model", "dry_run"]
"""`dry_run` builds and counts the requests of the configured model, and asks nobody."""


@dataclass(frozen=True, kw_only=True)
class _Opening:
    """What a provider is opened with; see `open_provider`."""

    config: LLMConfig
    root: str
    run: str
    api_key: SecretStr | None
    place: str | None


@asynccontextmanager
async def open_provider(
    config: LLMConfig,
    *,
    root: str = "artifacts",
    run: str = "",
    api_key: SecretStr | None = None,
    place: str | None = None,
    kind: Kind | None = None,
) -> AsyncIterator[Provider]:
    """Open the configured provider: the rules, or a language model.

    Args:
        config: model, limits, budget.
        root: artifact root; a local one holds the cache of answers by default.
        run: name of the run; the budget's ceiling holds for all that open a provider under it.
            Without one the ceiling is this provider's own.
        api_key: the key, where it does not come from the environment (a Secret block).
        place: URI of the artifact that will hold the ledger.
        kind: another provider than the configured one.

    Raises:
        ConfigError: a key is missing, or a ceiling in dollars has no price to count with.
        StorageError: the cache cannot be opened.
    """
    chosen: Kind = kind or ("model" if config.uses_model else "rules")
    opening = _Opening(config=config, root=root, run=run, api_key=api_key, place=place)
    async with PROVIDERS[chosen](opening) as provider:
        yield provider


@asynccontextmanager
async def _rules(_: _Opening) -> AsyncIterator[Provider]:
    yield RulesProvider()


@asynccontextmanager
async def _dry_run(opening: _Opening) -> AsyncIterator[Provider]:
    yield DryRunProvider(opening.config)


@asynccontextmanager
async def _model(opening: _Opening) -> AsyncIterator[Provider]:
    config = opening.config
    make = TRANSPORTS[transport_name(config)]
    key, price = _key(config, opening.api_key), _price(config)
    cache = AnswerCache(cache_url(config.cache_url, opening.root))
    try:
        executor = Executor(
            config,
            transport=make(config, key, cache),
            cache=cache,
            limits=_limits(config),
            budget=_budget(config, cache, opening.run),
            price=price,
            run=opening.run or uuid.uuid4().hex,
            secret=key,
        )
        try:
            yield ModelProvider(config, executor=executor, cache=cache, place=opening.place)
        finally:
            await executor.close()
    finally:
        await cache.close()


PROVIDERS: Final[Mapping[Kind, Callable[[_Opening], AbstractAsyncContextManager[Provider]]]] = {
    "rules": _rules,
    "model": _model,
    "dry_run": _dry_run,
}


def transport_name(config: LLMConfig) -> str:
    """Key of the configured transport in `TRANSPORTS`.

    Raises:
        ConfigError: `openai_http` is asked for, and the model has another provider.
    """
    if config.batch:
        return "batch"
    if config.transport == "openai_http" and not config.model.startswith(PREFIX):
        raise ConfigError(
            f"llm.transport is openai_http, and llm.model is {config.model!r}.",
            expected="a model named openai/NAME: it speaks to OpenAI-compatible endpoints.",
            fix="name it openai/NAME with llm.api_base, or set llm.transport to litellm.",
        )
    openai = config.transport != "litellm" and config.model.startswith(PREFIX)
    return "openai_http" if openai else "litellm"


def _key(config: LLMConfig, given: SecretStr | None) -> SecretStr | None:
    if given is not None:
        return given
    provider = config.model.partition("/")[0] if "/" in config.model else "openai"
    name = config.api_key_env or f"{provider.upper()}_API_KEY"
    value = os.environ.get(name, "").strip()
    if value and not _HEADER.fullmatch(value):
        raise ConfigError(
            f"The environment variable {name} holds white space or letters beyond ASCII within"
            " its value.",
            expected="a key, and nothing else.",
            fix=f"copy the key again into {name}.",
        )
    needed = config.api_key_env is not None or (
        transport_name(config) == "openai_http" and _base(config) == OPENAI
    )
    if not value and needed:
        raise ConfigError(
            f"The environment variable {name} is not set, and {config.model} needs a key.",
            fix=f"export {name}=... (or name another variable in llm.api_key_env).",
        )
    return SecretStr(value) if value else None


def _base(config: LLMConfig) -> str:
    return config.api_base or os.environ.get("OPENAI_BASE_URL") or OPENAI


def _price(config: LLMConfig) -> Price:
    price = price_of(config)
    if config.max_dollars is not None and not price.known:
        raise ConfigError(
            f"llm.max_dollars is set, and no price of {config.model} is known.",
            expected="a price to count dollars with.",
            fix="set llm.input_price and llm.output_price (dollars per million tokens; 0 for a"
            " model of your own), or use llm.max_tokens instead.",
        )
    return price


def _openai_http(config: LLMConfig, key: SecretStr | None, _: AnswerCache) -> Transport:
    return OpenAIHttpTransport(api_base=_base(config), api_key=key, timeout_s=config.timeout_s)


def _litellm(config: LLMConfig, key: SecretStr | None, _: AnswerCache) -> Transport:
    from recsys_core.llm.transport.litellm import LiteLLMTransport

    return LiteLLMTransport(
        model=config.model, api_base=config.api_base, api_key=key, timeout_s=config.timeout_s
    )


def _batch(config: LLMConfig, key: SecretStr | None, cache: AnswerCache) -> Transport:
    from recsys_core.llm.transport.batch import BatchTransport
    from recsys_core.llm.transport.batch_endpoint import (
        BatchEndpoint,
        LiteLLMBatches,
        OpenAIBatches,
    )

    endpoint: BatchEndpoint
    if config.model.startswith(PREFIX) or "/" not in config.model:
        endpoint = OpenAIBatches(
            api_base=_base(config), api_key=key, timeout_s=max(600.0, config.timeout_s)
        )
    else:
        provider = config.model.partition("/")[0]
        endpoint = LiteLLMBatches(provider, api_base=config.api_base, api_key=key)
    return BatchTransport(config, endpoint=endpoint, cache=cache)


TRANSPORTS: Final[Mapping[str, Callable[[LLMConfig, SecretStr | None, AnswerCache], Transport]]] = {
    "openai_http": _openai_http,
    "litellm": _litellm,
    "batch": _batch,
}


def _limits(config: LLMConfig) -> Limits:
    if config.batch:  # the file goes at once; the provider sets the pace
        return Limits(max_in_flight=_UNLIMITED)
    return shared_limits(
        f"{config.model} {config.api_base}",
        max_in_flight=config.max_in_flight,
        requests_per_minute=config.requests_per_minute,
        tokens_per_minute=config.tokens_per_minute,
    )


def _budget(config: LLMConfig, cache: AnswerCache, run: str) -> Budget:
    scope = config.budget_scope
    ceiling = Ceiling(dollars=config.max_dollars, tokens=config.max_tokens, scope=scope)
    spent = cache.totals(run).of(scope)
    if scope == "run" and not run:
        return Budget(ceiling)
    return shared_budget((cache.url, run if scope == "run" else ""), ceiling, spent)
