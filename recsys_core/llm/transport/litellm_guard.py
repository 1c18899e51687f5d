"""What the HTTP clients of litellm and of the OpenAI SDK may not do.

That is: follow a redirect, or read a response without bound. litellm makes its clients itself, by
two functions: one for the OpenAI SDK and one for all other providers; for files and batches the SDK
makes its own. All are wrapped, once, so that every client looks at a response before its body is
read.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import httpx

from recsys_core.http.bounded import ACCEPT, bound
from recsys_core.llm.transport.base import MAX_BODY, SendFailed

_GUARDED: Final = "recsys_guarded"
_MOST: ContextVar[int] = ContextVar("most bytes of a response", default=MAX_BODY)


def guard(litellm: Any) -> None:
    """Wrap the functions by which litellm makes its asynchronous clients; once per process.

    Raises:
        AttributeError: this litellm makes its clients in another way.
    """
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler
    from litellm.llms.openai.common_utils import BaseOpenAILLM
    from openai import _base_client as sdk

    if getattr(litellm, _GUARDED, False):
        return
    create, openai = AsyncHTTPHandler.create_client, BaseOpenAILLM._get_async_http_client

    def created(*args: Any, **kwargs: Any) -> httpx.AsyncClient:
        return guarded(create(*args, **kwargs))

    def for_openai(*args: Any, **kwargs: Any) -> httpx.AsyncClient | None:
        client = openai(*args, **kwargs)
        return None if client is None else guarded(client)

    class OfSDK(sdk.AsyncHttpxClientWrapper):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            guarded(self)

    sdk.AsyncHttpxClientWrapper = OfSDK  # type: ignore[misc]
    AsyncHTTPHandler.create_client = created  # type: ignore[method-assign]
    BaseOpenAILLM._get_async_http_client = staticmethod(for_openai)  # type: ignore[method-assign]
    setattr(litellm, _GUARDED, True)


def failure_in(error: BaseException | None) -> SendFailed | None:
    """The failure below errors that libraries wrapped around it: our own, or an unreadable body."""
    top = error
    while error is not None:
        if isinstance(error, SendFailed):
            return error.again()
        if isinstance(error, RecursionError | json.JSONDecodeError):
            return SendFailed(f"the response is no JSON ({top})", malformed=True)
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def responses_up_to(size: int) -> Iterator[None]:
    """Let responses be as large as `size` bytes, unpacked, where that is more than `MAX_BODY`."""
    token = _MOST.set(max(size, MAX_BODY))
    try:
        yield
    finally:
        _MOST.reset(token)


def guarded(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The client, which now looks at each response before its body is read."""
    client.follow_redirects = False
    client.headers["accept-encoding"] = ACCEPT
    hooks = client.event_hooks
    client.event_hooks = {**hooks, "response": [*hooks.get("response", []), _look]}
    return client


async def _look(response: httpx.Response) -> None:
    if response.has_redirect_location:
        raise SendFailed(
            f"HTTP {response.status_code}: the endpoint redirects to another address, and no prompt"
            " follows.",
            status=response.status_code,
        )
    bound(response, _MOST.get(), lambda text: SendFailed(text, malformed=True))
