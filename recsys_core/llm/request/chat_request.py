"""A request made concrete: messages, decoding parameters, schema, and the key of all that."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import BaseModel

from recsys_core.llm.config import LLMConfig
from recsys_core.llm.providers.base import A, Choices, Request, V
from recsys_core.llm.request.json_schema import schema_of
from recsys_core.llm.request.templates import Message, load_prompt, render, repair_prompt
from recsys_core.llm.store.answers import answer_key

_REASONING: Final = re.compile(r"^(o\d+|gpt-5)(?![a-z])(?!.*chat)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Question:
    """One call to make.

    Attributes:
        parameters: decoding parameters under their OpenAI names.
        answer: schema of the answer.
        longest: tokens that prompt-independent output may take, reasoning included.
        repair: whether this is the second call, about an answer that was not valid.
        choices: what marked parts of the answer may be; empty where nobody is held to them.
    """

    key: str
    purpose: str
    subject: str
    prompt_version: str
    messages: list[Message]
    parameters: Mapping[str, Any]
    answer: type[BaseModel]
    longest: int
    repair: bool = False
    choices: Choices = field(default_factory=dict)


def ask_for(request: Request[V, A], config: LLMConfig) -> Question:
    """The call that puts `request` to the configured model.

    Raises:
        ConfigError: the prompt is missing or does not fit the variables.
    """
    prompt = load_prompt(request.purpose.name)
    parameters, longest = decoding(config, prompt.max_tokens * request.parts)
    question = Question(
        key="",
        purpose=request.purpose.name,
        subject=request.subject,
        prompt_version=prompt.version,
        messages=render(request.purpose.name, request.variables),
        parameters=parameters,
        answer=request.purpose.answer,
        longest=longest,
        choices=request.purpose.choices(request.variables) if config.tailored_schemas else {},
    )
    return _keyed(question, config)


def ask_repair(question: Question, answer: str, problem: str, config: LLMConfig) -> Question:
    """The one repair call: the same question, the invalid answer, and what is wrong with it."""
    messages = repair_prompt(question.messages, answer, problem)
    return _keyed(replace(question, messages=messages, repair=True), config)


def decoding(config: LLMConfig, max_tokens: int) -> tuple[dict[str, Any], int]:
    """Decoding parameters for an answer of `max_tokens`, and the most tokens that may come back.

    Reasoning models take no temperature, and their thoughts count as completion tokens.
    """
    parameters: dict[str, Any] = {} if config.seed is None else {"seed": config.seed}
    if reasons(config):
        longest = max_tokens + config.reasoning_tokens
        parameters["max_completion_tokens"] = longest
        if config.reasoning_effort is not None:
            parameters["reasoning_effort"] = config.reasoning_effort
        return parameters, longest
    parameters["max_tokens"] = max_tokens
    for name in ("temperature", "top_p"):
        if (value := getattr(config, name)) is not None:
            parameters[name] = value
    return parameters, max_tokens


def reasons(config: LLMConfig) -> bool:
    """Whether the configured model is a reasoning model, by configuration or by its name."""
    if config.reasoning is not None:
        return config.reasoning
    return bool(_REASONING.match(config.model.rpartition("/")[2]))


def _keyed(question: Question, config: LLMConfig) -> Question:
    key = answer_key(
        model=config.model,
        parameters=question.parameters,
        prompt_version=question.prompt_version,
        messages=question.messages,
        schema=schema_of(question.answer),
    )
    return replace(question, key=key)
