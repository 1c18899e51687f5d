"""Which run's report shows a call: each stands in the ledger of exactly one.

A run shows what it asked itself, and what runs asked that were killed before their report, where
its results rest on it. So the ledgers of all reports sum up to what the root has spent, but for
runs that are under way, or that were killed and on whose answers nothing rests yet.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import polars as pl
import sqlalchemy as sa

from recsys_core import columns as c
from recsys_core.llm.accounting.ledger import ledger
from recsys_core.llm.store.database import (
    CALLS,
    FAILURES,
    RUNS,
    now,
    open_engine,
    storage_error,
    upsert,
)
from recsys_core.processes import Process, this_process

T = TypeVar("T")
_KEYS_AT_ONCE: Final = 500
_SILENT_S: Final = 86_400.0
"""Of a run on another machine nothing else is known."""
_holder: Final = sa.func.coalesce(CALLS.c.holder, CALLS.c.run)
_COLUMNS: Final = [CALLS.c[name] for name in c.LLM_CALLS]


def open_run(connection: sa.Connection, run: str) -> None:
    """Write down a run and its process: the first that asks for it."""
    here = this_process()
    row = {"run": run, "host": here.host, "pid": here.pid, "started": here.started,
           "seen": now(connection), "published": None}  # fmt: skip
    connection.execute(upsert(connection, RUNS, replace=False), [row])
    mine = RUNS.c.run == run
    connection.execute(sa.update(RUNS).where(mine).values(seen=now(connection)))


def calls_of(url: str, run: str, keys: Sequence[str]) -> pl.DataFrame:
    """The ledger of a run (`columns.LLM_CALLS`), oldest first.

    Args:
        url: of the cache of answers.
        run: whose report is made.
        keys: of the calls that its results rest on, whoever made them.

    Raises:
        StorageError: the data base cannot be read or written.
    """

    def action(connection: sa.Connection) -> pl.DataFrame:
        connection.execute(  # a write, so that SQLite's lock is held from the beginning
            sa.update(CALLS).where(CALLS.c.run == run, CALLS.c.holder.is_(None)).values(holder=run)
        )
        for at in range(0, len(keys), _KEYS_AT_ONCE):
            _take_over(connection, run, keys[at : at + _KEYS_AT_ONCE])
        query = sa.select(*_COLUMNS).where(CALLS.c.holder == run).order_by(CALLS.c.id)
        return ledger([dict(row) for row in connection.execute(query).mappings()])

    return _work(url, action)


def published(url: str, run: str) -> None:
    """Note that the report of a run is there, so that nobody else shows its calls.

    Raises:
        StorageError: the data base cannot be written.
    """
    _work(
        url,
        lambda connection: connection.execute(
            sa.update(RUNS).where(RUNS.c.run == run).values(published=now(connection))
        ),
    )


def _take_over(connection: sa.Connection, run: str, keys: Sequence[str]) -> None:
    theirs = CALLS.c[c.KEY].in_(keys) & (_holder != run)
    holders = connection.execute(sa.select(_holder).distinct().where(theirs)).scalars().all()
    for holder in holders:
        if _was_killed(connection, holder):
            change = sa.update(CALLS).where(theirs, _holder == holder)
            connection.execute(change.values(holder=run))


def _was_killed(connection: sa.Connection, run: str) -> bool:
    """Whether a run will publish no report; False for one of an earlier version."""
    row = connection.execute(sa.select(RUNS).where(RUNS.c.run == run)).mappings().one_or_none()
    if row is None or row["published"] is not None:
        return False
    process = Process(host=row["host"], pid=row["pid"], started=row["started"])
    silent = now(connection) - row["seen"] > _SILENT_S
    return process.is_gone() or (process.host != this_process().host and silent)


def _work(url: str, action: Callable[[sa.Connection], T]) -> T:
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            return action(connection)
    except FAILURES as error:
        raise storage_error(url, error) from error
    finally:
        engine.dispose()
