"""The request to a chat model, built once: messages, parameters, schema, token guess, cache key.

provider.ask(request)
build_chat_request(request, config)   prompt, messages, schema, parameters, guess, key
executor.execute(chat)                cache, lease, limits, budget, attempts, ledger
chat.payload(dialect)               what one attempt sends
transport.send(payload)             one HTTP request
chat.verdict(completion)            for the ledger
chat.read(completion)                 the validated answer, or why there is none
repair_request(chat, ...)             at most one more round
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic

from recsys_core.artifacts import content_hash
from recsys_core.llm.accounting.ledger import Verdict
from recsys_core.llm.accounting.tokens import guess
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.providers.base import A, Choices, Request, V
from recsys_core.llm.request.json_schema import Dialect, response_format, schema_of
from recsys_core.llm.request.parsing import Declined, InvalidAnswer, parse
from recsys_core.llm.request.templates import (
    Message,
    load_prompt,
    render,
    repair_prompt,
    schema_prompt,
)
from recsys_core.llm.transport.base import MALFORMED, Completion, Payload

_REASONING: Final = re.compile(r"^(o\d+|gpt-5)(?![a-z])(?!.*chat)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ChatRequest(Generic[V, A]):
    """One request to a chat model, ready to be executed.

    Attributes:
        request: what is asked.
        model: the configured model.
        prompt_version: of the prompt file.
        parameters: decoding parameters under their OpenAI names.
        schema: JSON schema of the answer; the same for every request of the purpose.
        choices: allowed values of marked parts of the answer; empty without per-request schemas.
        prompt_tokens: tokens of the prompt and its schema, estimated from above.
        max_answer_tokens: most tokens that may come back, reasoning included.
        key: content key of the answer, in the cache and in the ledger.
        repair: whether this is the second round, after an answer that was not valid.
    """

    request: Request[V, A]
    model: str
    prompt_version: str
    messages: list[Message]
    parameters: Mapping[str, Any]
    schema: Mapping[str, Any]
    choices: Choices = field(default_factory=dict)
    prompt_tokens: int
    max_answer_tokens: int
    key: str
    repair: bool = False

    @property
    def purpose(self) -> str:
        """Name of the purpose, as the ledger has it."""
        return self.request.purpose.name

    @property
    def subject(self) -> str:
        """What the request is about, for errors and the ledger."""
        return self.request.subject

    def payload(self, dialect: Dialect) -> Payload:
        """What one attempt sends, with the schema in this dialect."""
        messages = self.messages
        if dialect is Dialect.PROMPT:
            messages = schema_prompt(messages, self.schema)
        return Payload(
            key=self.key,
            model=self.model,
            messages=messages,
            parameters=self.parameters,
            response_format=response_format(self.request.purpose.answer, dialect, self.choices),
        )

    def read(self, completion: Completion) -> A:
        """The validated answer.

        Raises:
            Declined: the model declined.
            InvalidAnswer: no valid answer; the message says why in words a model can act on.
        """
        if completion.refusal:
            told = completion.refusal
            raise Declined(told if told.startswith(MALFORMED) else f"the model declined: {told}")
        try:
            return parse(completion.text, self.request.purpose, self.request.variables)
        except InvalidAnswer as error:
            if completion.cut:
                raise InvalidAnswer(
                    f"it was cut off, being too long; be shorter. {error}"
                ) from None
            raise

    def verdict(self, completion: Completion) -> Verdict:
        """How the call ended, for the ledger."""
        try:
            self.read(completion)
        except Declined:
            return "refused"
        except InvalidAnswer:
            return "failed" if self.repair else "invalid"
        return "repaired" if self.repair else "ok"


AnyChat = ChatRequest[Any, Any]
"""A request whose kind of answer does not matter to who executes it."""


def build_chat_request(request: Request[V, A], config: LLMConfig) -> ChatRequest[V, A]:
    """The request that puts `request` to the configured model.

    Raises:
        ConfigError: the prompt is missing or does not fit the variables.
    """
    purpose = request.purpose
    prompt = load_prompt(purpose.name)
    parameters, longest = decoding(config, prompt.max_tokens * request.parts)
    messages = render(purpose.name, request.variables)
    schema = schema_of(purpose.answer)
    return ChatRequest(
        request=request,
        model=config.model,
        prompt_version=prompt.version,
        messages=messages,
        parameters=parameters,
        schema=schema,
        choices=purpose.choices(request.variables) if config.per_request_schemas else {},
        prompt_tokens=guess(messages, schema),
        max_answer_tokens=longest,
        key=_key(config.model, prompt.version, parameters, messages, schema),
    )


def repair_request(chat: ChatRequest[V, A], answer: str, problem: str) -> ChatRequest[V, A]:
    """The one repair round: the same request, the invalid answer, and what is wrong with it."""
    messages = repair_prompt(chat.messages, answer, problem)
    return replace(
        chat,
        messages=messages,
        prompt_tokens=guess(messages, chat.schema),
        key=_key(chat.model, chat.prompt_version, chat.parameters, messages, chat.schema),
        repair=True,
    )


def decoding(config: LLMConfig, max_tokens: int) -> tuple[dict[str, Any], int]:
    """Decoding parameters for an answer of `max_tokens`, and the most tokens that may come back.

    Reasoning models take no temperature, and their reasoning counts as completion tokens.
    """
    parameters: dict[str, Any] = {} if config.seed is None else {"seed": config.seed}
    if reasons(config):
        longest = max_tokens + config.reasoning_tokens
        parameters["max_completion_tokens"] = longest
        if config.reasoning_effort is not None:
            parameters["reasoning_effort"] = config.reasoning_effort
        return parameters, longest
    parameters["max_tokens"] = max_tokens
    if config.temperature is not None:
        parameters["temperature"] = config.temperature
    return parameters, max_tokens


def reasons(config: LLMConfig) -> bool:
    """Whether the configured model is a reasoning model, by configuration or by its name."""
    if config.reasoning is not None:
        return config.reasoning
    return bool(_REASONING.match(config.model.rpartition("/")[2]))


def _key(
    model: str,
    prompt_version: str,
    parameters: Mapping[str, Any],
    messages: list[Message],
    schema: Mapping[str, Any],
) -> str:
    return content_hash({
        "model": model, "parameters": parameters, "prompt_version": prompt_version,
        "messages": messages, "schema": schema,
    })  # fmt: skip
