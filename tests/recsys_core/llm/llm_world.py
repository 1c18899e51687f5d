"""An echo purpose, and requests whose text tells the fake server what to do."""

from pydantic import BaseModel, Field

from recsys_core.llm.providers.base import Purpose, Request

ECHO = "version: echo-1\nsystem: You echo.\nuser: 'Echo {{ input.word }}'\nmax_tokens: 100\n"


class Word(BaseModel):
    word: str


class Row(BaseModel):
    id: str = Field(max_length=40)


class Echo(BaseModel):
    word: str = Field(max_length=40)
    rows: list[Row] = Field(min_length=1, max_length=3)


def same_ids(variables: Word, answer: Echo) -> None:
    found = [row.id for row in answer.rows]
    if found != ["text"]:
        raise ValueError(f"rows must hold the id text once, not {found}")


ECHO_PURPOSE = Purpose(
    name="echo",
    answer=Echo,
    rule=lambda variables: Echo(word="by rule", rows=[Row(id="text")]),
    check=same_ids,
)


def echo(word: str) -> Request[Word, Echo]:
    return Request(purpose=ECHO_PURPOSE, variables=Word(word=word), subject=f"word:{word[:20]}")


def script(words: str, more: object = "") -> Request[Word, Echo]:
    """A request whose text tells the fake server what to do at each attempt."""
    return echo(f"[fake: {words}] {more}")
