"""One attempt of one call: what goes out, what comes back, and how it can fail.

A transport makes exactly one HTTP request per `send` and never retries: the client owns retries.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from recsys_core.llm.request.templates import Message

RETRYABLE: Final = frozenset({408, 409, 425, 429})
"""Statuses below 500 that a later attempt may not meet again; every 5xx is one, too."""
FATAL: Final = frozenset({401, 402, 403, 404, 405})
"""Statuses that every other call would meet as well: the key, the address or the model is wrong."""
_MAYBE_BILLED: Final = frozenset({408, 504, 522, 524})
"""Who answered gave up waiting: the model behind may have answered."""
MAX_BODY: Final = 8 * 2**20
"""Bytes of the largest response that is read, decompressed; answers have some thousand."""
MAX_TOKENS: Final = 10**8
"""Largest count of tokens that is believed."""
MALFORMED: Final = "malformed response: "
"""How the refusal of an answer begins whose response could never be read."""


@dataclass(frozen=True, kw_only=True)
class Payload:
    """One request to the endpoint.

    Attributes:
        key: content key of the call; batch files carry it as `custom_id`.
        parameters: decoding parameters under their OpenAI names, `max_tokens` among them.
    """

    key: str
    model: str
    messages: list[Message]
    parameters: Mapping[str, Any]
    response_format: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What a model said.

    Attributes:
        text: the answer as it came; empty if there was none.
        refusal: the endpoint's own statement that the model declined.
        cut: the answer ended because `max_tokens` was reached.
        tokens_in: prompt tokens, `tokens_cached` among them (cheaper with some endpoints).
        tokens_out: completion tokens, reasoning among them.
        billed: False where no usage came with the answer: the counts are then the least that it
            can have cost, and the rest is our estimate.
    """

    text: str
    refusal: str = ""
    cut: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    billed: bool = True


class SendFailed(Exception):
    """An attempt without an answer; it never leaves the LLM layer.

    Args:
        message: what was seen, whole: secrets are blanked before it is cut.
        status: HTTP status, or None where no response came (time-out, reset, broken body).
        retry_after: seconds the endpoint asked to wait.
        billed: whether the provider may have billed it: the request was sent, and no error came.
        malformed: a response came, and cannot be read.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        billed: bool = False,
        malformed: bool = False,
    ) -> None:
        super().__init__(message)
        if status == 429 and "insufficient_quota" in message:
            status = 402  # an empty account: waiting does not fill it
        self.status, self.retry_after = status, retry_after
        self.billed = billed or malformed or status in _MAYBE_BILLED
        self.malformed = malformed

    def again(self, message: str | None = None) -> "SendFailed":
        """The same failure, for another waiter or with another message."""
        return SendFailed(
            str(self) if message is None else message,
            status=self.status,
            retry_after=self.retry_after,
            billed=self.billed,
            malformed=self.malformed,
        )

    @property
    def retryable(self) -> bool:
        """Whether another attempt may succeed."""
        return self.status is None or self.status in RETRYABLE or self.status >= 500

    @property
    def fatal(self) -> bool:
        """Whether every other call would fail the same way."""
        return self.status is not None and (self.status in FATAL or 300 <= self.status < 400)


class Transport(Protocol):
    """A way to an endpoint.

    Attributes:
        durable: an answer that is given up while it is under way is not lost (batch files).
    """

    durable: bool

    async def prepare(self) -> None:
        """Do once what must not count as latency, such as a slow import."""

    async def send(self, payload: Payload) -> Completion:
        """Make one request.

        Raises:
            SendFailed: no answer came, for whatever reason.
        """

    async def close(self) -> None:
        """Release connections."""


def is_answer(status: object) -> bool:
    """Whether a status says that the request was answered, and so billed."""
    return isinstance(status, int) and 200 <= status < 300


def read_json(raw: bytes) -> Any:
    """The value of a response body.

    Raises:
        SendFailed: (malformed) it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        told = f"{type(error).__name__}: {raw[:5000].decode(errors='replace')}"
        raise SendFailed(f"the response is no JSON ({told})", malformed=True) from None


def read_completion(body: Any) -> Completion:
    """The completion in an OpenAI-style response body (a dict).

    Counts of tokens that are missing or cannot be believed leave `billed` False, so that they are
    estimated from the texts. Reasoning that stands beside the answer's own count (xAI), or only in
    the total (Gemini), is billed, too.

    Raises:
        SendFailed: (malformed) the body is no completion.
    """
    try:
        choice = body["choices"][0]
        message = choice["message"]
        further = message.get("provider_specific_fields") or {}  # litellm's place for the rest
        text = _text(message.get("content"))
        refusal = _text(message.get("refusal") or further.get("refusal"))
        cut = choice.get("finish_reason") == "length"
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise SendFailed(
            f"the response is no completion ({error!r}): {str(body)[:5000]}", malformed=True
        ) from None
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    tokens_in, tokens_out, total = (
        _count(usage.get(f"{one}_tokens")) for one in ("prompt", "completion", "total")
    )
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    answered, read = tokens_out or 0, tokens_in or 0
    beside = reasoning if reasoning > answered else 0
    return Completion(
        text=text,
        refusal=refusal,
        cut=cut,
        tokens_in=read,
        tokens_out=max(answered + beside, (total or 0) - read),
        tokens_cached=min(cached, read),
        billed=bool(tokens_in) and tokens_out is not None,
    )


def _detail(usage: Mapping[str, Any], place: str, name: str) -> int:
    details = usage.get(place)
    return (_count(details.get(name)) if isinstance(details, Mapping) else None) or 0


def _count(value: object) -> int | None:
    """A count of tokens; None where it is none that can be believed."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if 0 <= value <= MAX_TOKENS else None


def _text(content: Any) -> str:
    if isinstance(content, list):  # some endpoints send parts
        content = "".join(part.get("text") or "" for part in content)
    # Lone surrogates and NUL are JSON, but no data base and no Parquet file takes them.
    return str(content or "").encode(errors="replace").decode().replace("\x00", "")
