"""Batch files: their lines, and the record of which call is in which batch.

The record is written before a batch is sent and completed with the provider's id after it, so
that a run killed at any moment finds its batches again instead of paying for them twice.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from recsys_core import columns as c
from recsys_core.llm.store.answers import AnswerCache
from recsys_core.llm.store.database import ANSWERS, BATCH_CALLS, BATCHES, upsert
from recsys_core.llm.transport.base import (
    Completion,
    Payload,
    SendFailed,
    is_answer,
    read_completion,
)
from recsys_core.llm.transport.openai_http import chat_body

MAX_LINES: Final = 50_000
MAX_BYTES: Final = 150_000_000
MAX_LINE: Final = 1 << 16
"""Bytes of a result, in the mean over a file: answers have some thousand."""


def lines(calls: Iterable[Payload]) -> list[bytes]:
    """One line of a batch file per call; the call's key is its `custom_id`."""
    made = []
    for payload in calls:
        line = {
            "custom_id": payload.key,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": chat_body(payload),
        }
        made.append(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    return made


def results(content: bytes) -> Iterator[tuple[str, Completion | SendFailed]]:
    """Key and outcome of every line of an output or error file; a broken line is passed over."""
    for text in content.splitlines():
        try:
            line = json.loads(text)
            key, response = line["custom_id"], line.get("response")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if isinstance(key, str):
            response = response if isinstance(response, dict) else {}
            yield key, _outcome(response, line.get("error"))


def _outcome(response: dict[str, Any], error: object) -> Completion | SendFailed:
    status = response.get("status_code")
    if is_answer(status):
        try:
            return read_completion(response.get("body"))
        except SendFailed as failure:
            return failure
    found = json.dumps(error or response.get("body"), default=str)
    return SendFailed(f"HTTP {status} in a batch: {found}", status=status)


class BatchRecord:
    """Which calls lie in which batch of one endpoint."""

    def __init__(self, cache: AnswerCache, endpoint: str) -> None:
        self._cache, self._endpoint = cache, endpoint

    def tidy(self) -> None:
        """Forget calls whose answers are stored, and batches without calls."""
        answered = sa.select(ANSWERS.c[c.KEY])
        waiting = sa.select(BATCH_CALLS.c.batch)

        def action(connection: sa.Connection) -> None:
            connection.execute(sa.delete(BATCH_CALLS).where(BATCH_CALLS.c[c.KEY].in_(answered)))
            connection.execute(sa.delete(BATCHES).where(BATCHES.c.id.not_in(waiting)))

        self._cache.work(action)

    def open_batches(self) -> dict[str, str | None]:
        """Batches not yet done: our id, and the provider's where it is known."""
        query = sa.select(BATCHES.c.id, BATCHES.c.remote).where(
            BATCHES.c.endpoint == self._endpoint
        )
        rows = self._cache.work(lambda connection: connection.execute(query).all())
        return {row.id: row.remote for row in rows}

    def keys(self, batch: str) -> list[str]:
        """The calls in a batch."""
        query = sa.select(BATCH_CALLS.c[c.KEY]).where(BATCH_CALLS.c.batch == batch)
        return list(self._cache.work(lambda connection: connection.execute(query).scalars().all()))

    def begin(self, keys: Sequence[str]) -> str:
        """Write down a batch that is about to be sent; returns our id for it."""
        batch = uuid.uuid4().hex
        rows = [{c.KEY: key, "batch": batch} for key in keys]

        def action(connection: sa.Connection) -> None:
            connection.execute(sa.insert(BATCHES), {"id": batch, "endpoint": self._endpoint})
            connection.execute(upsert(connection, BATCH_CALLS, replace=True), rows)

        self._cache.work(action, durable=True)
        return batch

    def sent(self, batch: str, remote: str) -> None:
        """Write down the provider's id of a batch."""
        change = sa.update(BATCHES).where(BATCHES.c.id == batch).values(remote=remote)
        self._cache.work(lambda connection: connection.execute(change), durable=True)

    def drop(self, batch: str, keys: Sequence[str]) -> None:
        """Forget calls of a batch that gave no answer, so that they can be sent again."""
        for start in range(0, len(keys), 500):  # data bases bound the parameters of a statement
            some = BATCH_CALLS.c[c.KEY].in_(keys[start : start + 500])
            change = sa.delete(BATCH_CALLS).where(BATCH_CALLS.c.batch == batch, some)
            self._cache.work(partial(_execute, change))


def _execute(statement: sa.Executable, connection: sa.Connection) -> None:
    connection.execute(statement)
