"""Leases on answers: of all processes that share a cache, one asks for an answer at a time.

A lease is a row that is written before a request is sent and deleted together with the writing of
its answer. It says what the request can cost at most, so that the ceiling of a run holds over all
its processes, and so that a request whose process was killed is counted. A lease whose process is
gone becomes a row of the ledger with the verdict `lost`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa

from recsys_core import columns as c
from recsys_core.llm.accounting.budget import BudgetScope, Ceiling, Spending
from recsys_core.llm.store.database import CALLS, LEASES, SESSIONS, SPENDING, insert, now, upsert
from recsys_core.processes import Process, this_process

BEAT_S: Final = 10.0
"""Seconds between two signs of life of an open provider."""
SILENT_S: Final = 90.0
"""Seconds without a sign of life after which a provider on another machine counts as gone."""
_CEILINGS: Final = 20_261_129
"""Any number: the advisory lock under which a ceiling is checked."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The wish to send one request.

    Attributes:
        tokens_in: most tokens of the prompt; `tokens_out` and `cost` likewise.
        ceiling: what may be spent in all.
        durable: a request that is given up while under way is found again (batch files), so that
            it is not counted as lost.
        fresh: ask although there is an answer.
    """

    key: str
    session: str
    run: str
    purpose: str
    subject: str
    model: str
    prompt_version: str
    tokens_in: int
    tokens_out: int
    cost: float
    ceiling: Ceiling
    durable: bool
    fresh: bool

    @property
    def worst(self) -> Spending:
        """What the request can cost at most."""
        return Spending(dollars=self.cost, tokens=self.tokens_in + self.tokens_out)


@dataclass(frozen=True, kw_only=True)
class OverBudget:
    """The request does not fit under the ceiling.

    Attributes:
        spent: what is spent in the ceiling's scope.
        reserved: what requests under way, of all processes, can still cost.
    """

    spent: Spending
    reserved: Spending


Outcome = Literal["granted", "held"] | OverBudget
"""`held`: another process is asking for this very answer."""


def open_session(connection: sa.Connection, session: str) -> None:
    """Write down an open provider and its process."""
    here = this_process()
    row = {"session": session, "host": here.host, "pid": here.pid, "started": here.started,
           "beat": now(connection), "closed": False, "reported": None, "place": None}  # fmt: skip
    connection.execute(upsert(connection, SESSIONS, replace=False), [row])


def beat(connection: sa.Connection, sessions: Sequence[str]) -> None:
    """A sign of life of these providers."""
    mine = SESSIONS.c.session.in_(sessions)
    connection.execute(sa.update(SESSIONS).where(mine).values(beat=now(connection)))


def close_session(connection: sa.Connection, session: str) -> None:
    """A provider is closed: it holds no lease any more, and counts its own losses."""
    settle(connection, session)
    mine = SESSIONS.c.session == session
    connection.execute(sa.update(SESSIONS).where(mine).values(closed=True, beat=now(connection)))


def take(connection: sa.Connection, claim: Claim) -> Outcome:
    """Take the lease on an answer, unless another process has it or the ceiling forbids it.

    The first statement writes, so that the transaction has SQLite's write lock from its beginning.
    """
    if not _insert(connection, claim) and not _inherit(connection, claim):
        return "held"
    over = _over(connection, claim) if claim.ceiling.is_set else None
    if over is not None:
        drop(connection, claim.key, claim.session)
    return over or "granted"


def _inherit(connection: sa.Connection, claim: Claim) -> bool:
    """Take a lease whose holder is gone, or was this provider itself and gave up."""
    query = sa.select(LEASES.c.session).where(LEASES.c[c.KEY] == claim.key)
    holder = connection.execute(query).scalar_one_or_none()
    if holder == claim.session:
        settle(connection, holder, claim.key)
    elif holder is not None:
        if not is_gone(connection, holder):
            return False
        settle(connection, holder)
    return _insert(connection, claim)


def _over(connection: sa.Connection, claim: Claim) -> OverBudget | None:
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CEILINGS)))
    spent, reserved = totals(connection, claim.run, claim.ceiling.scope)
    if claim.ceiling.fits(spent + reserved):
        return None
    settle_gone(connection)
    spent, reserved = totals(connection, claim.run, claim.ceiling.scope)
    if claim.ceiling.fits(spent + reserved):
        return None
    return OverBudget(spent=spent, reserved=reserved - claim.worst)


def drop(connection: sa.Connection, key: str, session: str) -> None:
    """Give up the lease of a request that was not sent, or was answered or rejected."""
    mine = (LEASES.c[c.KEY] == key) & (LEASES.c.session == session)
    connection.execute(sa.delete(LEASES).where(mine))


def settle(connection: sa.Connection, session: str, key: str | None = None) -> None:
    """Turn leases that nobody will end into ledger rows: their requests may be billed.

    Args:
        connection: in a transaction.
        session: the provider that held them.
        key: only this one; default: all.
    """
    theirs = LEASES.c.session == session
    if key is not None:
        theirs &= LEASES.c[c.KEY] == key
    left = sa.delete(LEASES).where(theirs).returning(*LEASES.c)
    for lease in connection.execute(left).mappings().all():
        if not lease["durable"]:
            connection.execute(sa.insert(CALLS), [_lost_row(lease)])
            tokens = lease[c.TOKENS_IN] + lease[c.TOKENS_OUT]
            add_spending(connection, lease["run"], Spending(dollars=lease[c.COST], tokens=tokens))


def settle_gone(connection: sa.Connection) -> None:
    """Settle every provider that is gone."""
    holders = connection.execute(sa.select(LEASES.c.session).distinct()).scalars().all()
    for holder in holders:
        if is_gone(connection, holder):
            settle(connection, holder)


def is_gone(connection: sa.Connection, session: str) -> bool:
    """Whether the process of an open provider has ended, or has been silent for long."""
    query = sa.select(SESSIONS).where(SESSIONS.c.session == session)
    row = connection.execute(query).mappings().one_or_none()
    if row is None or row["closed"]:
        return True
    process = Process(host=row["host"], pid=row["pid"], started=row["started"])
    silent = now(connection) - row["beat"] > SILENT_S
    return process.is_gone() or (process.host != this_process().host and silent)


def totals(connection: sa.Connection, run: str, scope: BudgetScope) -> tuple[Spending, Spending]:
    """What is spent, and what is reserved by requests under way, in a run or in the whole root."""
    tokens = sa.func.coalesce(sa.func.sum(SPENDING.c.tokens), 0)
    spent = sa.select(sa.func.coalesce(sa.func.sum(SPENDING.c.dollars), 0.0), tokens)
    open_tokens = sa.func.coalesce(sa.func.sum(LEASES.c[c.TOKENS_IN] + LEASES.c[c.TOKENS_OUT]), 0)
    reserved = sa.select(sa.func.coalesce(sa.func.sum(LEASES.c[c.COST]), 0.0), open_tokens)
    if scope == "run":
        spent, reserved = spent.where(SPENDING.c.run == run), reserved.where(LEASES.c.run == run)
    found = [connection.execute(query).one() for query in (spent, reserved)]
    first, second = (Spending(dollars=float(one[0]), tokens=int(one[1])) for one in found)
    return first, second


def add_spending(connection: sa.Connection, run: str, more: Spending) -> None:
    """Add to what a run has spent."""
    statement = insert(connection, SPENDING).values(
        run=run, dollars=more.dollars, tokens=more.tokens
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[SPENDING.c.run],
            set_={
                "dollars": SPENDING.c.dollars + more.dollars,
                "tokens": SPENDING.c.tokens + more.tokens,
            },
        )
    )


def _insert(connection: sa.Connection, claim: Claim) -> bool:
    row = {
        c.KEY: claim.key, "session": claim.session, "run": claim.run, c.PURPOSE: claim.purpose,
        c.SUBJECT: claim.subject, c.MODEL: claim.model, c.PROMPT_VERSION: claim.prompt_version,
        c.TOKENS_IN: claim.tokens_in, c.TOKENS_OUT: claim.tokens_out, c.COST: claim.cost,
        c.STARTED: int(time.time() * 1e6), "durable": claim.durable,
    }  # fmt: skip
    statement = insert(connection, LEASES).values(row).on_conflict_do_nothing()
    # Not `rowcount`, which the driver of PostgreSQL does not tell of an insert.
    written = connection.execute(statement.returning(LEASES.c[c.KEY])).scalar_one_or_none()
    return written is not None


def _lost_row(lease: Mapping[Any, Any]) -> dict[str, Any]:
    shared = (c.KEY, c.PURPOSE, c.SUBJECT, c.MODEL, c.PROMPT_VERSION, c.TOKENS_IN, c.TOKENS_OUT,
              c.COST, c.STARTED, "session", "run")  # fmt: skip
    rest = {c.LATENCY: 0.0, c.WAITED: 0.0, c.ATTEMPTS: 1, c.VERDICT: "lost"}
    return {name: lease[name] for name in shared} | rest
