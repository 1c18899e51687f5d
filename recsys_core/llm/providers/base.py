"""Typed requests in, typed and validated answers out: the interface of every provider.

A `Purpose` says all there is to know about one kind of question: its prompt file, the variables
the prompt is rendered from, the schema of the answer, a further check of the answer against the
question, and the rule that answers it without any model. The domain modules (`profiles`,
`rerank`, `explanations`) declare their purposes; the providers know none of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

import polars as pl
from pydantic import BaseModel

V = TypeVar("V", bound=BaseModel)
A = TypeVar("A", bound=BaseModel)

Status = Literal["ok", "repaired", "failed"]
"""`repaired`: valid after one repair call. `failed`: no valid answer, the rule answered instead."""


def _accept(variables: BaseModel, answer: BaseModel) -> None:
    """The check of a purpose that needs none."""


Choices = Mapping[str, Sequence[str]]
"""What a part of an answer may be, by the mark that it has in the schema (`json_schema.choice`)."""


def _anything(_: BaseModel) -> Choices:
    """The choices of a purpose that has none."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Purpose(Generic[V, A]):
    """One kind of question to a language model.

    Attributes:
        name: name of the prompt file, and the purpose in the ledger.
        answer: schema of the answer; bounded strings and lists, so that small models end.
        rule: answers without a model, from the same variables.
        check: raises ValueError, with a message a model can act on, when an answer that fits the
            schema does not fit the question (an id that was not asked for, for example).
        choices: what marked parts of the answer may be, for endpoints that can be held to it.
    """

    name: str
    answer: type[A]
    rule: Callable[[V], A]
    check: Callable[[V, A], None] = _accept
    choices: Callable[[V], Choices] = _anything


@dataclass(frozen=True, kw_only=True)
class Request(Generic[V, A]):
    """One question.

    Attributes:
        purpose: what kind of question.
        variables: what the prompt is rendered from.
        subject: whom or what it is about, for errors and the ledger (`item:12`, `user:7`).
        parts: how many things the answer is about; each has the room that the prompt names.
    """

    purpose: Purpose[V, A]
    variables: V
    subject: str
    parts: int = 1


@dataclass(frozen=True, kw_only=True)
class Reply(Generic[A]):
    """A valid answer, and who gave it."""

    answer: A
    model: str
    prompt_version: str
    status: Status = "ok"


@dataclass(kw_only=True)
class Usage:
    """What a provider did since it was opened.

    Attributes:
        calls: the ledger, a row per call to a model (`columns.LLM_CALLS`); rules make no calls.
        answers: answers given, per purpose, cached ones among them.
        facts: further counts for the run's summary (cache hits, repairs, failures).
    """

    calls: pl.DataFrame
    answers: dict[str, int] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)


class Provider(Protocol):
    """Something that answers requests: the rules, or a language model."""

    @property
    def model(self) -> str:
        """Name that every output carries: `rules`, or the model's."""

    async def ask(self, request: Request[V, A]) -> Reply[A]:
        """Answer one request.

        Raises:
            LLMStopped: no valid answer, and the configuration says to stop; or no call may be made.
        """

    def usage(self) -> Usage:
        """What was done so far."""
