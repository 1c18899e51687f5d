"""The cache of answers: what was paid for and reached the disk is never asked for again.

One thread per open cache does the data base's work, in groups: all look-ups that wait become one
query, all answers that wait one transaction. An answer, its ledger row and the run's spending are
committed together, before the answer is handed on.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar, cast, get_args

import sqlalchemy as sa

from recsys_core import columns as c
from recsys_core.artifacts import has_manifest
from recsys_core.errors import RecsysError, StorageError
from recsys_core.llm.accounting.budget import BudgetScope, Spending
from recsys_core.llm.accounting.ledger import Call
from recsys_core.llm.store import leases
from recsys_core.llm.store.database import (
    ANSWERS,
    CALLS,
    REPORTED,
    SESSIONS,
    answer_seal,
    now,
    open_engine,
    storage_error,
    upsert,
)
from recsys_core.llm.store.leases import Claim, Outcome, is_gone
from recsys_core.llm.transport.base import Completion
from recsys_core.processes import Process

T = TypeVar("T")

_GROUP: Final = 200
_KEYS_AT_ONCE: Final = 500
_COMMITTED_S: Final = 600.0
"""Seconds that a living process has to commit the artifact whose ledger it was given."""
_CALL_COLUMNS: Final = tuple(c.LLM_CALLS)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one finished call leaves behind; without a completion only its ledger row."""

    call: Call
    run: str
    session: str
    completion: Completion | None
    replace: bool = False


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What is spent, by the run that asks and by all runs of the cache."""

    run: Spending
    root: Spending

    def of(self, scope: BudgetScope) -> Spending:
        """What counts for a ceiling of this scope."""
        return self.run if scope == "run" else self.root


@dataclass(frozen=True)
class _Job:
    work: "Record | Claim | str | partial[None]"
    loop: asyncio.AbstractEventLoop | None
    done: "asyncio.Future[Any] | None"


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
        self._sessions: set[str] = set()
        self._thread = threading.Thread(target=self._serve, name="llm-cache", daemon=True)
        self._thread.start()

    async def get(self, key: str) -> Completion | None:
        """The stored answer to `key`, if there is one."""
        return cast(Completion | None, await self._submit(key))

    async def claim(self, claim: Claim) -> Completion | Outcome:
        """Take the lease on an answer before asking for it; the answer itself, if it came."""
        return cast(Completion | Outcome, await self._submit(claim))

    async def put(self, record: Record) -> Totals:
        """Store a finished call and end its lease; returns what is spent by all processes."""
        return cast(Totals, await self._submit(record))

    def drop(self, key: str, session: str) -> None:
        """End the lease of a request that was not sent or was rejected; does not wait."""
        self._jobs.put(_Job(partial(leases.drop, key=key, session=session), None, None))

    def open_session(self, session: str) -> None:
        """Write down an open provider; what providers that are gone left is counted as lost."""

        def action(connection: sa.Connection) -> None:
            leases.open_session(connection, session)
            leases.settle_gone(connection)

        self.work(action)
        self._sessions.add(session)

    def close_session(self, session: str) -> None:
        """A provider is closed: what it left under way is counted as lost."""
        self._sessions.discard(session)
        self.work(partial(leases.close_session, session=session))

    def totals(self, run: str) -> Totals:
        """What `run`, and all runs together, have spent so far."""
        return self.work(partial(_totals, run=run))

    def calls(self, *, session: str | None = None, run: str | None = None) -> list[dict[str, Any]]:
        """Ledger rows of one open provider (`session`) or of a whole run, in order."""
        condition: sa.ColumnElement[bool] = sa.true()
        if session is not None:
            condition &= CALLS.c.session == session
        if run is not None:
            condition &= CALLS.c.run == run
        return self.work(lambda connection: _calls(connection, condition))

    def report(
        self, session: str, found: Collection[str], place: str | None = None
    ) -> list[dict[str, Any]]:
        """The ledger of `session` made whole, once and for all.

        A process that was killed, or stopped by an error or a ceiling, has paid for answers that no
        ledger shows; nor does an artifact that is gone. Whoever uses such an answer takes over its
        rows, so that every call stands in exactly one ledger.

        Args:
            session: an open provider.
            found: keys of the answers that it took from the cache.
            place: URI of the artifact that will hold this ledger.
        """

        def action(connection: sa.Connection) -> list[dict[str, Any]]:
            leases.open_session(connection, session)
            mine = SESSIONS.c.session == session
            told = {"reported": now(connection), "place": place}
            connection.execute(sa.update(SESSIONS).where(mine).values(**told))
            _take_over(connection, session, sorted(found))
            return _calls(connection, CALLS.c.session == session)

        return self.work(action)

    def work(self, action: Callable[[sa.Connection], T], *, durable: bool = False) -> T:
        """Run `action` in a transaction of its own.

        Args:
            action: what is done.
            durable: it is on the disk when this returns, so that no power cut undoes it. Other
                transactions survive the death of the process only; the next durable one, or the
                data base in its own time, brings them to the disk.

        Raises:
            StorageError: the data base refused.
        """
        try:
            with self.engine.begin() as connection:
                if connection.dialect.name == "sqlite":  # PostgreSQL syncs every commit
                    level = "FULL" if durable else "NORMAL"
                    connection.exec_driver_sql(f"PRAGMA synchronous={level}")
                return action(connection)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise storage_error(self.url, error) from error

    async def close(self) -> None:
        """Finish what waits, and disconnect."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self.engine.dispose()

    async def _submit(self, work: Record | Claim | str) -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(_Job(work, loop, done))
        return await done

    def _serve(self) -> None:
        open_, beaten = True, time.monotonic()
        while open_:
            group = self._next_group()
            open_ = None not in group
            jobs = [job for job in group if job is not None]
            for kind, action in (
                # Leases end before others are taken: a request that was rejected is sent again.
                (str, self._look_up), (Record, self._store), (partial, self._do),
                (Claim, self._claim),
            ):  # fmt: skip
                self._answer(action, [job for job in jobs if isinstance(job.work, kind)])
            if self._sessions and time.monotonic() - beaten > leases.BEAT_S:
                beaten = time.monotonic()
                with suppress(StorageError):  # told to who stores the next answer
                    self.work(partial(leases.beat, sessions=sorted(self._sessions)))

    def _next_group(self) -> list[_Job | None]:
        try:
            group = [self._jobs.get(timeout=leases.BEAT_S)]
        except queue.Empty:
            return []
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
        found = self.work(partial(_found, keys=keys))
        return [found.get(key) for key in keys]

    def _store(self, records: list[Record]) -> list[Totals]:
        return self.work(lambda connection: self._write(connection, records), durable=True)

    def _claim(self, claims: list[Claim]) -> list[Completion | Outcome]:
        def action(connection: sa.Connection) -> list[Completion | Outcome]:
            taken = {one: leases.take(connection, one) for one in sorted(claims, key=_by_key)}
            wanted = [one.key for one in claims if taken[one] == "granted" and not one.fresh]
            found = _found(connection, wanted)
            for one in claims:
                if one.key in found and taken[one] == "granted" and not one.fresh:
                    leases.drop(connection, one.key, one.session)
            _forget_damaged(connection, [key for key in wanted if key not in found])
            return [
                found.get(one.key, taken[one]) if not one.fresh else taken[one] for one in claims
            ]

        return self.work(action)

    def _do(self, actions: list[Callable[[sa.Connection], None]]) -> list[None]:
        def action(connection: sa.Connection) -> list[None]:
            return [one(connection) for one in actions]

        return self.work(action)

    def _write(self, connection: sa.Connection, records: list[Record]) -> list[Totals]:
        # The spending first: its row serialises the writers of a run on every data base.
        runs = sorted({one.run for one in records})
        for run in runs:
            calls = [one.call for one in records if one.run == run]
            dollars = sum(one.cost for one in calls)
            tokens = sum(one.tokens_in + one.tokens_out for one in calls)
            leases.add_spending(connection, run, Spending(dollars=dollars, tokens=tokens))
        for replace in (False, True):
            kept = [one for one in records if one.completion and one.replace is replace]
            if kept:  # sorted: two writers that take rows in another order can block one another
                answers = [_answer_row(one) for one in sorted(kept, key=lambda one: one.call.key)]
                connection.execute(upsert(connection, ANSWERS, replace=replace), answers)
        connection.execute(
            sa.insert(CALLS),
            [{"session": one.session, "run": one.run, **one.call.row()} for one in records],
        )
        for one in sorted(records, key=lambda one: one.call.key):
            leases.drop(connection, one.call.key, one.session)
        totals = {run: _totals(connection, run) for run in runs}
        return [totals[one.run] for one in records]


def _by_key(claim: Claim) -> str:
    return claim.key


def _totals(connection: sa.Connection, run: str) -> Totals:
    spent = {scope: leases.totals(connection, run, scope)[0] for scope in get_args(BudgetScope)}
    return Totals(run=spent["run"], root=spent["root"])


def _found(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Completion]:
    # SQLite keeps values of any type: a truth value that was altered must not fail to be read.
    others = [one for one in ANSWERS.c if one.name != "cut"]
    cut = sa.cast(ANSWERS.c.cut, sa.Integer).label("cut")
    query = sa.select(*others, cut).where(ANSWERS.c[c.KEY].in_(set(keys)))
    rows = connection.execute(query).mappings()
    return {row[c.KEY]: _completion(dict(row)) for row in rows if _is_intact(dict(row))}


def _forget_damaged(connection: sa.Connection, keys: Sequence[str]) -> None:
    """Delete answers that were altered after they were stored, so that new ones can be."""
    if keys:
        connection.execute(sa.delete(ANSWERS).where(ANSWERS.c[c.KEY].in_(keys)))


def _calls(connection: sa.Connection, condition: Any) -> list[dict[str, Any]]:
    query = sa.select(*(CALLS.c[name] for name in _CALL_COLUMNS)).where(condition)
    rows = connection.execute(query.order_by(CALLS.c.id)).all()
    return [dict(zip(_CALL_COLUMNS, row, strict=True)) for row in rows]


def _take_over(connection: sa.Connection, session: str, found: Sequence[str]) -> None:
    """Move the rows that no artifact shows, of the answers that `session` used, to `session`."""
    used = [sa.select(CALLS.c[c.KEY]).where(CALLS.c.session == session)]
    parts = [list(found[at : at + _KEYS_AT_ONCE]) for at in range(0, len(found), _KEYS_AT_ONCE)]
    choices: list[Any] = [*used, *parts]
    for keys in choices:
        theirs = CALLS.c[c.KEY].in_(keys) & (CALLS.c.session != session)
        holders = sa.select(CALLS.c.session).distinct().where(theirs)
        for other in connection.execute(holders).scalars().all():
            if not _shows_its_rows(connection, other):
                change = sa.update(CALLS).where(theirs, CALLS.c.session == other)
                connection.execute(change.values(session=session))


def _shows_its_rows(connection: sa.Connection, session: str) -> bool:
    """Whether the ledger of another provider stands in an artifact, or will."""
    row = connection.execute(
        sa.select(SESSIONS).where(SESSIONS.c.session == session)
    ).mappings().one_or_none()  # fmt: skip
    if row is None:  # of an earlier version
        known = sa.select(REPORTED).where(REPORTED.c.session == session)
        return connection.execute(known).one_or_none() is not None
    if row["reported"] is None:
        return not is_gone(connection, session)
    if row["place"] is None or has_manifest(row["place"]):
        return True
    # Told a moment ago by a process that lives: the artifact is about to be committed.
    process = Process(host=row["host"], pid=row["pid"], started=row["started"])
    return not process.is_gone() and now(connection) - row["reported"] < _COMMITTED_S


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
        "seal": answer_seal(record.call.key, completion.text, completion.refusal, completion.cut),
    }


def _is_intact(row: Mapping[str, Any]) -> bool:
    texts = (row[c.KEY], row["text"], row["refusal"])
    whole = all(isinstance(one, str) for one in texts)
    return whole and bool(row["seal"] == answer_seal(*texts, row["cut"]))


def _completion(row: Mapping[str, Any]) -> Completion:
    return Completion(
        text=row["text"],
        refusal=row["refusal"],
        cut=bool(row["cut"]),
        tokens_in=row[c.TOKENS_IN],
        tokens_out=row[c.TOKENS_OUT],
    )


def _tell(jobs: Iterable[_Job], results: Iterable[object]) -> None:
    for job, result in zip(jobs, results, strict=True):
        if job.loop is not None and job.done is not None and not job.loop.is_closed():
            job.loop.call_soon_threadsafe(_settle, job.done, result)


def _settle(done: "asyncio.Future[Any]", result: object) -> None:
    if done.done():
        return
    if isinstance(result, Exception):
        done.set_exception(result)
    else:
        done.set_result(result)
