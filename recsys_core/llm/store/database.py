"""The tables of the answer cache, and the engine they live in.

SQLite is the embedded default: write-ahead log, so that readers never wait and a killed process
loses nothing that was committed. A PostgreSQL URL serves several machines.
"""

import os
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from recsys_core import columns as c
from recsys_core.artifacts import absolute, content_hash
from recsys_core.errors import ConfigError, StorageError

FILE: Final = "llm.sqlite"
_LOCK_WAIT_MS: Final = 60_000
_CREATION: Final = 20_250_803
"""Any number: the advisory lock under which the tables are made."""
METADATA: Final = sa.MetaData()

ANSWERS: Final = sa.Table(
    "answers",
    METADATA,
    sa.Column(c.KEY, sa.String(64), primary_key=True),
    sa.Column(c.MODEL, sa.Text, nullable=False),
    sa.Column(c.PURPOSE, sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("refusal", sa.Text, nullable=False),
    sa.Column("cut", sa.Boolean, nullable=False),
    sa.Column(c.TOKENS_IN, sa.BigInteger, nullable=False),
    sa.Column(c.TOKENS_OUT, sa.BigInteger, nullable=False),
    sa.Column("seal", sa.String(64), nullable=True),
)
CALLS: Final = sa.Table(
    "calls",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("session", sa.String(32), nullable=False, index=True),
    sa.Column("run", sa.Text, nullable=False, index=True),
    sa.Column(c.KEY, sa.String(64), nullable=False),
    sa.Column(c.PURPOSE, sa.Text, nullable=False),
    sa.Column(c.SUBJECT, sa.Text, nullable=False),
    sa.Column(c.MODEL, sa.Text, nullable=False),
    sa.Column(c.PROMPT_VERSION, sa.Text, nullable=False),
    sa.Column(c.TOKENS_IN, sa.BigInteger, nullable=False),
    sa.Column(c.TOKENS_OUT, sa.BigInteger, nullable=False),
    sa.Column(c.COST, sa.Float, nullable=False),
    sa.Column(c.LATENCY, sa.Float, nullable=False),
    sa.Column(c.WAITED, sa.Float, nullable=False),
    sa.Column(c.ATTEMPTS, sa.Integer, nullable=False),
    sa.Column(c.VERDICT, sa.Text, nullable=False),
    sa.Column(c.STARTED, sa.BigInteger, nullable=False),
)
SESSIONS: Final = sa.Table(  # open providers; `place` is the artifact that holds their ledger
    "sessions",
    METADATA,
    sa.Column("session", sa.String(32), primary_key=True),
    sa.Column("host", sa.String(8), nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("beat", sa.Float, nullable=False),
    sa.Column("closed", sa.Boolean, nullable=False),
    sa.Column("reported", sa.Float, nullable=True),
    sa.Column("place", sa.Text, nullable=True),
)
REPORTED: Final = sa.Table(  # of earlier versions: sessions whose ledger stands in an artifact
    "reported",
    METADATA,
    sa.Column("session", sa.String(32), primary_key=True),
)
LEASES: Final = sa.Table(  # requests under way: who asks, and what may have been spent on them
    "leases",
    METADATA,
    sa.Column(c.KEY, sa.String(64), primary_key=True),
    sa.Column("session", sa.String(32), nullable=False, index=True),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column(c.PURPOSE, sa.Text, nullable=False),
    sa.Column(c.SUBJECT, sa.Text, nullable=False),
    sa.Column(c.MODEL, sa.Text, nullable=False),
    sa.Column(c.PROMPT_VERSION, sa.Text, nullable=False),
    sa.Column(c.TOKENS_IN, sa.BigInteger, nullable=False),
    sa.Column(c.TOKENS_OUT, sa.BigInteger, nullable=False),
    sa.Column(c.COST, sa.Float, nullable=False),
    sa.Column(c.STARTED, sa.BigInteger, nullable=False),
    sa.Column("durable", sa.Boolean, nullable=False),
)
SPENDING: Final = sa.Table(
    "spending",
    METADATA,
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("dollars", sa.Float, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
)
BATCHES: Final = sa.Table(
    "batches",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("remote", sa.Text, nullable=True),
)
BATCH_CALLS: Final = sa.Table(
    "batch_calls",
    METADATA,
    sa.Column(c.KEY, sa.String(64), primary_key=True),
    sa.Column("batch", sa.String(32), nullable=False, index=True),
)


def cache_url(url: str | None, root: str) -> str:
    """The URL of the cache: the configured one, or a file in the artifact root `root`.

    Raises:
        ConfigError: a variable is not set, a password stands in the configuration, or the root is
            remote and no URL is given.
    """
    if url is None:
        return f"sqlite:///{_local(root) / FILE}"
    resolved = os.path.expandvars(url)
    if "$" in resolved and "$" in url:
        raise ConfigError(
            f"llm.cache_url {url!r} names an environment variable that is not set.",
            fix="export it, or give the URL itself.",
        )
    try:
        password = sa.make_url(resolved).password
    except sa.exc.ArgumentError:
        raise ConfigError(
            "llm.cache_url is no SQLAlchemy URL.",
            expected="for example sqlite:///answers.sqlite or $NAME.",
            fix="correct it; relative paths have three slashes, absolute ones four.",
        ) from None
    if password is not None and str(password) in url:
        raise ConfigError(
            "llm.cache_url holds a password; configurations are stored in clear.",
            expected="the URL in an environment variable.",
            fix="export LLM_CACHE_URL=... and set llm.cache_url to $LLM_CACHE_URL.",
        )
    return resolved


def _local(root: str) -> Path:
    scheme, separator, rest = root.partition("://")
    if separator and scheme != "file":
        raise ConfigError(
            f"The artifact root {root} is remote, and the cache of LLM answers has no place.",
            expected="llm.cache_url: a file (sqlite:///path) or a PostgreSQL URL.",
            fix="set llm.cache_url.",
        )
    return absolute(rest if separator else root)


def open_engine(url: str) -> sa.Engine:
    """Connect, and create what is missing.

    Raises:
        StorageError: the data base cannot be opened or written.
    """
    try:
        parsed = sa.make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")  # the driver that is installed
        if parsed.get_backend_name() == "sqlite":
            Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(parsed, pool_size=2, max_overflow=2, pool_pre_ping=True)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _tune)
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":  # "if not exists" does not survive a race there
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION)))
            for table in METADATA.sorted_tables:
                connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))
            _seal_answers(connection)
    except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
        raise storage_error(url, error) from error
    return engine


def answer_seal(key: str, text: str, refusal: str, cut: object) -> str:
    """What an answer's row must say of itself to be believed: the answer, and to what it is one."""
    return content_hash([key, text, refusal, bool(cut)])


def _seal_answers(connection: sa.Connection) -> None:
    """Bring the table of an earlier version up to date: its answers get their seals once."""
    columns = {column["name"] for column in sa.inspect(connection).get_columns(ANSWERS.name)}
    if "seal" in columns:
        return
    connection.execute(sa.text("ALTER TABLE answers ADD COLUMN seal VARCHAR(64)"))
    name = "checksum" if "checksum" in columns else "NULL"
    checked: sa.ColumnClause[str | None] = sa.literal_column(name)
    answer = (ANSWERS.c.text, ANSWERS.c.refusal, ANSWERS.c.cut)
    for key, checksum, *parts in connection.execute(
        sa.select(ANSWERS.c[c.KEY], checked, *answer)
    ).all():
        if checksum in (None, content_hash([*parts[:2], bool(parts[2])])):
            change = sa.update(ANSWERS).where(ANSWERS.c[c.KEY] == key)
            connection.execute(change.values(seal=answer_seal(key, *parts)))


def upsert(connection: sa.Connection, table: sa.Table, *, replace: bool) -> Any:
    """An insert that keeps, or replaces, the row that is already there."""
    statement = insert(connection, table)
    if not replace:
        return statement.on_conflict_do_nothing()
    keys = {column.name for column in table.primary_key}
    names = [column.name for column in table.columns if column.name not in keys]
    changed = {name: statement.excluded[name] for name in names}
    return statement.on_conflict_do_update(index_elements=sorted(keys), set_=changed)


def now(connection: sa.Connection) -> float:
    """Unix seconds by the one clock that all who share this data base have in common."""
    if connection.dialect.name == "postgresql":
        clock = sa.select(sa.func.extract("epoch", sa.func.clock_timestamp()))
        return float(connection.execute(clock).scalar_one())
    return time.time()  # SQLite's processes are on one machine


def insert(connection: sa.Connection, table: sa.Table) -> Any:
    """An insert of this data base's dialect, which knows `ON CONFLICT`."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def _tune(connection: Any, _: object) -> None:
    # Bytes that a failing disk altered are no reason to end a run: their rows are not believed.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    connection.execute(f"PRAGMA busy_timeout={_LOCK_WAIT_MS}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode=WAL")


def storage_error(url: str, error: Exception) -> StorageError:
    """The error for a cache that does not work; passwords in the URL are masked."""
    shown = sa.make_url(url).render_as_string(hide_password=True)
    return StorageError(
        f"The cache of LLM answers at {shown} does not work: {getattr(error, 'orig', error)}",
        expected="a data base that can be written, with enough room on its disk.",
        fix="check the path or server, or set llm.cache_url to another place. Stored answers stay.",
    )
