"""The transport to every provider: `litellm.acompletion`, without its retries and logging.

litellm is imported with the first call (several seconds), with its bundled price map instead of a
download, one HTTP request per call.
"""

import asyncio
import inspect
import os
from typing import Any, Final

from pydantic import SecretStr

from recsys_core.errors import ConfigError
from recsys_core.http.backoff import retry_after
from recsys_core.llm.transport.base import Completion, Payload, SendFailed, read_completion
from recsys_core.llm.transport.litellm_guard import failure_in, guard

_SWITCHES: Final = {
    "suppress_debug_info": True,  # or it prints hints to standard output at every error
    "turn_off_message_logging": True,
    "drop_params": False,  # with True it repeats rejected requests by itself
    "telemetry": False,
}


def load_litellm() -> Any:
    """Import litellm, quiet and without a download of its price map."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    for name, value in _SWITCHES.items():
        setattr(litellm, name, value)
    guard(litellm)
    return litellm


def _warm() -> Any:
    litellm = load_litellm()
    message = {"role": "user", "content": "x"}
    litellm.completion(model="openai/none", messages=[message], mock_response="x", api_key="none")
    return litellm


class LiteLLMTransport:
    """One `acompletion` per `send`."""

    durable = False

    def __init__(
        self, *, model: str, api_base: str | None, api_key: SecretStr | None, timeout_s: float
    ) -> None:
        self._model, self._timeout = model, timeout_s
        self._fixed: dict[str, Any] = {
            "timeout": timeout_s,
            "max_retries": 0,
            "num_retries": 0,
            "no-log": True,
        }
        self._api_base, self._key = api_base, api_key
        self._litellm: Any = None
        self._preparing = asyncio.Lock()

    async def prepare(self) -> None:
        """Import litellm, and have it import what it puts off until its first call.

        Raises:
            ConfigError: litellm knows no provider of this model.
        """
        async with self._preparing:
            if self._litellm is None:
                litellm = await asyncio.to_thread(_warm)
                _check_provider(litellm, self._model)
                self._litellm = litellm

    async def send(self, payload: Payload) -> Completion:
        """One request through litellm."""
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._litellm.acompletion(**self._arguments(payload))
        except Exception as error:
            raise failure_of(error, self._timeout) from None
        return read_completion(response.model_dump())

    async def close(self) -> None:
        """Close the connections that litellm keeps for this event loop."""
        if self._litellm is not None:
            await close_clients(self._litellm)

    def _arguments(self, payload: Payload) -> dict[str, Any]:
        arguments = {
            "model": payload.model,
            "messages": payload.messages,
            **payload.parameters,
            **self._fixed,
        }
        if payload.response_format is not None:
            arguments["response_format"] = dict(payload.response_format)
        if self._api_base is not None:
            arguments["api_base"] = self._api_base
            arguments["api_key"] = "none"  # a local server needs no key, but litellm wants one
        if self._key is not None:
            arguments["api_key"] = self._key.get_secret_value()
        return arguments


def _check_provider(litellm: Any, model: str) -> None:
    try:
        litellm.get_llm_provider(model)
    except litellm.exceptions.BadRequestError:
        raise ConfigError(
            f"llm.model is {model!r}, and litellm knows no provider of it.",
            expected="`rules`, or PROVIDER/MODEL such as openai/gpt-4.1-mini or ollama/gemma3.",
            fix="correct llm.model; a server of your own is openai/NAME with llm.api_base.",
        ) from None


def failure_of(error: Exception, timeout_s: float) -> SendFailed:
    """What an exception of litellm says; one without a status is a connection's or a library's."""
    if (found_below := failure_in(error)) is not None:
        return found_below
    if isinstance(error, TimeoutError):
        return SendFailed(f"no answer within {timeout_s:g} s", billed=True)
    status = getattr(error, "status_code", None)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    found = getattr(error, "litellm_response_headers", None) or headers
    return SendFailed(
        f"{type(error).__name__}: {error}",
        status=status if isinstance(status, int) else None,
        billed=type(error).__name__.endswith("Timeout") or not isinstance(status, int),
        retry_after=retry_after({str(k).lower(): str(v) for k, v in dict(found).items()}),
    )


async def close_clients(litellm: Any) -> None:
    """Close the asynchronous clients that litellm has cached for the running event loop.

    litellm's own clean-up passes over the OpenAI SDK's clients (their method is `close`), which
    then warn about unclosed sessions; and it closes those of other threads' loops, too.
    """
    cache = litellm.in_memory_llm_clients_cache
    loop = str(id(asyncio.get_running_loop()))
    for key in [key for key in cache.cache_dict if str(key).endswith(f"-{loop}")]:
        client = cache.cache_dict.pop(key)
        cache.ttl_dict.pop(key, None)
        for name in ("aclose", "close"):
            closing = getattr(client, name, None)
            if inspect.iscoroutinefunction(closing):
                await closing()
                break
