"""The cache of answers: what was paid for and reached the disk is never asked for again.

One thread per open cache does the data base's work, in groups: all look-ups that wait become one
query, all answers that wait one transaction. An answer, its ledger row and the run's spending are
committed together, before the answer is handed on.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from recsys_core import columns as c
from recsys_core.errors import RecsysError
from recsys_core.llm.accounting.budget import Spending
from recsys_core.llm.accounting.ledger import Call
from recsys_core.llm.store.database import (
    ANSWERS,
    CALLS,
    REPORTED,
    SPENDING,
    open_engine,
    storage_error,
)
from recsys_core.llm.transport.base import Completion

T = TypeVar("T")

_GROUP: Final = 200
_KEYS_AT_ONCE: Final = 500
_CALL_COLUMNS: Final = tuple(c.LLM_CALLS)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one finished call leaves behind; without a completion only its ledger row."""

    call: Call
    run: str
    session: str
    completion: Completion | None
    replace: bool = False


@dataclass(frozen=True)
class _Job:
    work: Record | str
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Any]"


class AnswerCache:
    """Answers by key, with the ledger and the spending of runs beside them.

    Args:
        url: SQLAlchemy URL.

    Raises:
        StorageError: the data base cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = open_engine(url)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="llm-cache", daemon=True)
        self._thread.start()

    async def get(self, key: str) -> Completion | None:
        """The stored answer to `key`, if there is one."""
        return cast(Completion | None, await self._submit(key))

    async def put(self, record: Record) -> Spending:
        """Store a finished call; returns what its run has spent in all, by all processes."""
        return cast(Spending, await self._submit(record))

    def spent(self, run: str) -> Spending:
        """What `run` has spent so far."""
        query = sa.select(SPENDING.c.dollars, SPENDING.c.tokens).where(SPENDING.c.run == run)
        row = self.work(lambda connection: connection.execute(query).one_or_none())
        return Spending(dollars=row.dollars, tokens=row.tokens) if row else Spending()

    def calls(self, *, session: str | None = None, run: str | None = None) -> list[dict[str, Any]]:
        """Ledger rows of one open provider (`session`) or of a whole run, in order."""
        query = sa.select(*(CALLS.c[name] for name in _CALL_COLUMNS)).order_by(CALLS.c.id)
        if session is not None:
            query = query.where(CALLS.c.session == session)
        if run is not None:
            query = query.where(CALLS.c.run == run)
        rows = self.work(lambda connection: connection.execute(query).all())
        return [dict(zip(_CALL_COLUMNS, row, strict=True)) for row in rows]

    def report(self, session: str, found: Collection[str]) -> list[dict[str, Any]]:
        """The ledger of `session` made whole, once and for all.

        A process that was killed, or stopped by an error or a ceiling, has paid for answers that no
        ledger shows. Whoever uses such an answer takes over its rows, so that every call stands in
        exactly one ledger.

        Args:
            session: an open provider.
            found: keys of the answers that it took from the cache.
        """
        self.work(lambda connection: _take_over(connection, session, sorted(found)))
        return self.calls(session=session)

    def work(self, action: Callable[[sa.Connection], T]) -> T:
        """Run `action` in a transaction of its own.

        Raises:
            StorageError: the data base refused.
        """
        try:
            with self.engine.begin() as connection:
                return action(connection)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise storage_error(self.url, error) from error

    async def close(self) -> None:
        """Finish what waits, and disconnect."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self.engine.dispose()

    async def _submit(self, work: Record | str) -> Any:
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        self._jobs.put(job)
        return await job.done

    def _serve(self) -> None:
        open_ = True
        while open_:
            group = self._next_group()
            open_ = None not in group
            jobs = [job for job in group if job is not None]
            self._answer(self._look_up, [job for job in jobs if isinstance(job.work, str)])
            self._answer(self._store, [job for job in jobs if isinstance(job.work, Record)])

    def _next_group(self) -> list[_Job | None]:
        group = [self._jobs.get()]
        while len(group) < _GROUP and group[-1] is not None:
            try:
                group.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return group

    def _answer(self, action: Callable[[list[Any]], Sequence[object]], jobs: list[_Job]) -> None:
        if not jobs:
            return
        try:
            results = action([job.work for job in jobs])
        except RecsysError as error:
            _tell(jobs, [error] * len(jobs))
        except Exception as error:
            _tell(jobs, [storage_error(self.url, error)] * len(jobs))
        else:
            _tell(jobs, results)

    def _look_up(self, keys: list[str]) -> list[Completion | None]:
        query = sa.select(ANSWERS).where(ANSWERS.c[c.KEY].in_(set(keys)))
        found = self.work(
            lambda connection: {
                row[c.KEY]: _completion(dict(row)) for row in connection.execute(query).mappings()
            }
        )
        return [found.get(key) for key in keys]

    def _store(self, records: list[Record]) -> list[Spending]:
        return self.work(lambda connection: self._write(connection, records))

    def _write(self, connection: sa.Connection, records: list[Record]) -> list[Spending]:
        # The spending first: its row serialises the writers of a run on every data base.
        runs = sorted({one.run for one in records})
        totals = {run: _spend(connection, run, records) for run in runs}
        for replace in (False, True):
            kept = [one for one in records if one.completion and one.replace is replace]
            if kept:  # sorted: two writers that take rows in another order can block one another
                answers = [_answer_row(one) for one in sorted(kept, key=lambda one: one.call.key)]
                connection.execute(upsert(connection, ANSWERS, replace=replace), answers)
        connection.execute(
            sa.insert(CALLS),
            [{"session": one.session, "run": one.run, **one.call.row()} for one in records],
        )
        return [totals[one.run] for one in records]


def upsert(connection: sa.Connection, table: sa.Table, *, replace: bool) -> Any:
    """An insert that keeps, or replaces, the row that is already there."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    if not replace:
        return statement.on_conflict_do_nothing()
    keys = {column.name for column in table.primary_key}
    names = [column.name for column in table.columns if column.name not in keys]
    changed = {name: statement.excluded[name] for name in names}
    return statement.on_conflict_do_update(index_elements=sorted(keys), set_=changed)


def _spend(connection: sa.Connection, run: str, records: Iterable[Record]) -> Spending:
    calls = [one.call for one in records if one.run == run]
    dollars = sum(one.cost for one in calls)
    tokens = sum(one.tokens_in + one.tokens_out for one in calls)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = (
        dialect.insert(SPENDING)
        .values(run=run, dollars=dollars, tokens=tokens)
        .on_conflict_do_update(
            index_elements=[SPENDING.c.run],
            set_={"dollars": SPENDING.c.dollars + dollars, "tokens": SPENDING.c.tokens + tokens},
        )
        .returning(SPENDING.c.dollars, SPENDING.c.tokens)
    )
    row = connection.execute(statement).one()
    return Spending(dollars=row.dollars, tokens=row.tokens)


def _take_over(connection: sa.Connection, session: str, found: Sequence[str]) -> None:
    reported = sa.select(REPORTED.c.session)
    others = sa.select(CALLS.c.session).distinct().where(
        CALLS.c.session != session, CALLS.c.session.not_in(reported)
    )  # fmt: skip
    left = connection.execute(others).scalars().all()
    own = CALLS.c[c.KEY].in_(sa.select(CALLS.c[c.KEY]).where(CALLS.c.session == session))
    parts = [found[at : at + _KEYS_AT_ONCE] for at in range(0, len(found), _KEYS_AT_ONCE)]
    for other in left:
        for used in (own, *(CALLS.c[c.KEY].in_(part) for part in parts)):
            theirs = sa.update(CALLS).where(CALLS.c.session == other, used)
            connection.execute(theirs.values(session=session))
    connection.execute(upsert(connection, REPORTED, replace=False), [{"session": session}])


def _answer_row(record: Record) -> dict[str, Any]:
    completion = cast(Completion, record.completion)
    return {
        c.KEY: record.call.key,
        c.MODEL: record.call.model,
        c.PURPOSE: record.call.purpose,
        "text": completion.text,
        "refusal": completion.refusal,
        "cut": completion.cut,
        c.TOKENS_IN: completion.tokens_in,
        c.TOKENS_OUT: completion.tokens_out,
    }


def _completion(row: Mapping[str, Any]) -> Completion:
    return Completion(
        text=row["text"],
        refusal=row["refusal"],
        cut=row["cut"],
        tokens_in=row[c.TOKENS_IN],
        tokens_out=row[c.TOKENS_OUT],
    )


def _tell(jobs: Iterable[_Job], results: Iterable[object]) -> None:
    for job, result in zip(jobs, results, strict=True):
        if not job.loop.is_closed():
            job.loop.call_soon_threadsafe(_settle, job.done, result)


def _settle(done: "asyncio.Future[Any]", result: object) -> None:
    if done.done():
        return
    if isinstance(result, Exception):
        done.set_exception(result)
    else:
        done.set_result(result)
