"""Files and batches of a provider: the OpenAI SDK for OpenAI's own interface, litellm for others.

litellm's file and batch functions open a new client at each call for OpenAI and close none of
them, which a day of polling turns into thousands of open connections; so that one provider is
reached by the SDK that litellm itself uses. Both make one attempt per call.
"""

import asyncio
from typing import Any, Final, Protocol

from pydantic import SecretStr

from recsys_core.llm.transport.litellm import close_clients, load_litellm
from recsys_core.llm.transport.litellm_guard import guarded, responses_up_to

LABEL: Final = "recsys_batch"
"""Metadata key by which a batch is found whose id could not be written down any more."""
_PATH: Final = "/v1/chat/completions"


class BatchEndpoint(Protocol):
    """What a batch needs of a provider; every method may raise the provider's errors."""

    async def prepare(self) -> None:
        """Import what is needed."""

    async def create(self, name: str, content: bytes) -> str:
        """Send a file and a batch of it, labelled `name`; returns the batch's id."""

    async def look(self, batch: str) -> Any:
        """The state of a batch: `status`, `output_file_id`, `error_file_id`, `errors`."""

    async def content(self, file: str, most: int) -> bytes:
        """The content of a file of at most so many bytes."""

    async def find(self, label: str) -> str | None:
        """The id of the batch with this label."""

    async def close(self) -> None:
        """Release connections."""


class OpenAIBatches:
    """Batches by the OpenAI SDK."""

    def __init__(
        self, *, api_base: str | None, api_key: SecretStr | None, timeout_s: float
    ) -> None:
        self._base, self._timeout = api_base, timeout_s
        self._key = api_key.get_secret_value() if api_key else "none"
        self._client: Any = None

    async def prepare(self) -> None:
        """Import the SDK."""
        openai = await asyncio.to_thread(_import_openai)
        self._client = openai.AsyncOpenAI(
            base_url=self._base,
            api_key=self._key,
            max_retries=0,
            timeout=self._timeout,
            # No prompt goes to another host than the configured one.
            http_client=guarded(openai.DefaultAsyncHttpxClient(timeout=self._timeout)),
        )

    async def create(self, name: str, content: bytes) -> str:
        """Send a file and a batch of it."""
        file = await self._client.files.create(file=(f"{name}.jsonl", content), purpose="batch")
        made = await self._client.batches.create(
            completion_window="24h", endpoint=_PATH, input_file_id=file.id, metadata={LABEL: name}
        )
        return str(made.id)

    async def look(self, batch: str) -> Any:
        """The state of a batch."""
        return await self._client.batches.retrieve(batch)

    async def content(self, file: str, most: int) -> bytes:
        """The content of a file of at most so many bytes."""
        with responses_up_to(most):
            found: bytes = (await self._client.files.content(file)).content
        return found

    async def find(self, label: str) -> str | None:
        """The id of the batch with this label."""
        async for one in self._client.batches.list(limit=100):
            if (one.metadata or {}).get(LABEL) == label:
                return str(one.id)
        return None

    async def close(self) -> None:
        """Release connections."""
        if self._client is not None:
            await self._client.close()


class LiteLLMBatches:
    """Batches of any provider that litellm has them for."""

    def __init__(self, provider: str, *, api_base: str | None, api_key: SecretStr | None) -> None:
        self._fixed: dict[str, Any] = {"custom_llm_provider": provider, "max_retries": 0}
        if api_base is not None:
            self._fixed["api_base"] = api_base
        if api_key is not None:
            self._fixed["api_key"] = api_key.get_secret_value()
        self._litellm: Any = None

    async def prepare(self) -> None:
        """Import litellm."""
        self._litellm = await asyncio.to_thread(load_litellm)

    async def create(self, name: str, content: bytes) -> str:
        """Send a file and a batch of it."""
        file = await self._litellm.acreate_file(
            file=(f"{name}.jsonl", content), purpose="batch", **self._fixed
        )
        made = await self._litellm.acreate_batch(
            completion_window="24h", endpoint=_PATH, input_file_id=file.id,
            metadata={LABEL: name}, **self._fixed,
        )  # fmt: skip
        return str(made.id)

    async def look(self, batch: str) -> Any:
        """The state of a batch."""
        return await self._litellm.aretrieve_batch(batch_id=batch, **self._fixed)

    async def content(self, file: str, most: int) -> bytes:
        """The content of a file of at most so many bytes."""
        with responses_up_to(most):
            found = await self._litellm.afile_content(file_id=file, **self._fixed)
        return bytes(found.content)

    async def find(self, label: str) -> str | None:
        """The id of the batch with this label, among the last hundred."""
        listed = await self._litellm.alist_batches(limit=100, **self._fixed)
        for one in getattr(listed, "data", None) or []:
            if (getattr(one, "metadata", None) or {}).get(LABEL) == label:
                return str(one.id)
        return None

    async def close(self) -> None:
        """Release connections."""
        if self._litellm is not None:
            await close_clients(self._litellm)


def _import_openai() -> Any:
    import openai

    return openai
